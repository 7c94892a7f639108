"""Faults that the checks must find: each is made alone in a copy of the files, and must be reported."""
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

OVERVIEW = 'ops/grafana/dashboards/edge-overview.json'
# The file, what stands there, what is written instead, and a part of what must be reported.
FAULTS = [
    ('Dockerfile', 'COPY proto/ proto/', 'COPY protos/ proto/', 'COPY protos/: there is no such file'),
    ('Dockerfile', 'COPY crates/rls/Cargo.toml crates/rls/\n', '', 'does not copy crates/rls/Cargo.toml'),
    ('Dockerfile', '--from=build /programs/edgectl', '--from=builder /programs/edgectl', 'there is no such stage'),
    ('Dockerfile', 'rust:1.95.0-slim-bookworm', 'rust:slim-bookworm', 'rust is to have the tag'),
    ('Dockerfile', 'busybox:1.37.0-musl', 'busybox', 'named with the tag of a version'),
    ('Dockerfile', 'busybox:1.37.0-musl', 'example.com/busybox:1.37.0-musl', 'named without a registry'),
    ('Dockerfile', 'AS overrides-sync', 'AS sync', 'image.repository overrides-sync is no target'),
    ('Dockerfile', 'EXPOSE 8081 9090', 'EXPOSE 8081 9091', 'mimir-rls exposes [8081, 9091]'),
    ('Dockerfile', 'EXPOSE 8080 9901', 'EXPOSE 8080 9903', 'mimir-envoy exposes [8080, 9903]'),
    ('Dockerfile', 'ENTRYPOINT ["/usr/local/bin/edgectl"]', 'ENTRYPOINT /usr/local/bin/edgectl', 'DL3025'),
    ('Dockerfile', 'ARG IMAGE=mimir-rls', 'ARG IMAGE=rls', 'ARG IMAGE=rls is no target'),
    ('Dockerfile', 'MIMIR_RLS_LIMITS=', 'MIMIR_RLS_LIMIT=', 'no program reads MIMIR_RLS_LIMIT'),
    ('Dockerfile', 'file:/etc/mimir-rls/limits.yaml', 'file:/etc/mimir-rls/overrides.yaml', '/etc/mimir-rls/overrides.yaml is not copied'),
    ('Dockerfile', '"/etc/mimir-envoy/run"]', '"/etc/mimir-envoy/start"]', '/etc/mimir-envoy/start is not copied'),
    ('.dockerignore', '!proto\n', '', 'COPY proto/: .dockerignore keeps it out'),
    ('.dockerignore', '!proto\n', '!proto\n!docs\n', '!docs: nothing in the Dockerfile copies it'),
    ('.dockerignore', '!crates\n', '!crates\ncrates/*/benches\n', 'bench at `benches/'),
    ('ops/docker/build', 'crates/*/Cargo.toml tests/e2e/Cargo.toml', 'crates/*/Cargo.toml', 'fails with what is copied'),
    ('.env.example', 'EDGE_PORT=8080', 'EDGE_PORT=8088', 'a value is not the default'),
    ('.env.example', 'EDGE_PORT=8080\n', '', 'EDGE_PORT is missing'),
    ('.env.example', 'EDGE_PORT=8080\n', 'EDGE_PORT=8080\nEDGE_HOST=x\n', 'EDGE_HOST is not used'),
    ('compose.yaml', 'read_only: true', 'readonly: true', 'docker compose'),
    ('compose.yaml', 'read_only: true', 'read_only: false', 'read_only is'),
    ('compose.yaml', 'user: "65534:65534"', 'user: "0"', 'prometheus: it runs as user 0'),
    ('compose.yaml', '"127.0.0.1:${EDGE_PORT', '"${EDGE_PORT', 'port 8080 is published beyond loopback'),
    ('compose.yaml', '${EDGE_PORT:-8080}:8080', '${EDGE_PORT:-8080}:8081', 'port 8081 is published, it listens on'),
    ('compose.yaml', 'RLS: mimir-rls:8081', 'RLS: mimir-rls:8083', 'mimir-rls does not listen there'),
    ('compose.yaml', 'RLS: mimir-rls:8081', 'RLS_HOSTS: mimir-rls:8081', 'knows RLS_HOSTS'),
    ('compose.yaml', './ops/compose/mimir.yaml:', './ops/mimir.yaml:', 'ops/mimir.yaml is mounted and not there'),
    ('compose.yaml', '--edge-config=/etc/mimir-rls/edge.yaml', '--edge-config=/etc/mimir-rls/modes.yaml', 'modes.yaml is in no mount'),
    ('compose.yaml', '--max-request-bytes', '--max-body-bytes', 'mimir-rls: it has no flag --max-body-bytes'),
    ('compose.yaml', '-config.file=', '-configuration.file=', 'mimir: it has no flag -configuration.file'),
    ('compose.yaml', '--storage.tsdb.path', '--storage.path', 'prometheus: it has no flag --storage.path'),
    ('compose.yaml', 'target: mimir-envoy', 'target: envoy', 'envoy is no target'),
    ('compose.yaml', 'prom/prometheus:v3.15.0', 'prom/prometheus:v3.14.0', 'tests run 3.15.0'),
    ('compose.yaml', 'edge-overview.json', 'overview.json', 'there is no dashboard overview.json'),
    ('docs/compose.md', '| `grafana/grafana:13.2.3` |', '| `grafana/grafana:13.2.2` |', 'used nowhere'),
    ('ops/docker/envoy', '--disable-hot-restart', '--no-hot-restart', 'envoy has no flag --no-hot-restart'),
    ('ops/prometheus/prometheus.yml', 'mimir-envoy:9901', 'mimir-envoy:9902', 'mimir-envoy:9902'),
    (OVERVIEW, 'rls_authz_check_duration_seconds_bucket', 'rls_check_seconds_bucket', 'there is no metric rls_check_seconds_bucket'),
    (OVERVIEW, 'rls_decisions_total{mode=', 'rls_decisions_total{modus=', 'has no label modus'),
    (OVERVIEW, 'sum by (decision)', 'sum by (decided)', 'has a label decided'),
    (OVERVIEW, '${datasource}', 'P1809F7CD0C75ACF3', 'not the variable'),
    (OVERVIEW, '"panels": [', '"panels": [,', 'it is no JSON'),
    (OVERVIEW, '"graphMode"', '"graphModes"', "Grafana's schema has no .panels[0].options.graphModes"),
    (OVERVIEW, '"unit": "reqps"', '"unit": "requests"', 'Grafana has no unit requests'),
    (OVERVIEW, 'alerts.md#rlsdown', 'alerts.md#rlsgone', 'no runbook has an entry'),
    (OVERVIEW, '"refresh": "30s"', '"refresh": "1m"', 'edge-overview.json is not what edge-overview.toml gives'),
    ('ops/grafana/dashboards/tenant.json', '"uid": "mimir-edge-tenant"', '"uid": "mimir-edge-rollout"', 'has the uid mimir-edge-rollout'),
]


def copy(root: Path, target: Path) -> None:
    """What git knows or would add; of sources the names alone, which is what cargo looks for in them."""
    listed = subprocess.run(['git', 'ls-files', '--cached', '--others', '--exclude-standard', '-z'], cwd=root, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split('\0')):
        if (root / name).is_file() and '/testdata/' not in name:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if name.endswith('.rs'):
                (target / name).touch()
            else:
                shutil.copyfile(root / name, target / name)


def missed(root: Path, faults: Callable[[Path], Iterator[str]]) -> list[str]:
    """The faults that no check reports."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        # As it is, a copy must have none: else any fault would be found everywhere.
        place = Path(folder).resolve()
        copy(root, place)
        if before := list(faults(place)):
            return [f'a copy of the files has faults that they have not: {before}']
        for name, old, new, expected in FAULTS:
            text = (place / name).read_text()
            if old not in text:
                found.append(f'tests/tools/containers/broken.py: {name} has no {old!r}')
                continue
            (place / name).write_text(text.replace(old, new, 1))
            reported = []
            if not any(reported.append(fault) or expected in fault for fault in faults(place)):
                found.append(f'{name} with {new!r} for {old!r} must be reported as {expected!r}; reported was {reported}')
            (place / name).write_text(text)
    return found
