"""compose.yaml, .env.example and the files that its services mount, as `docker compose config` reads them."""
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .dockerfile import Dockerfile
from .tools import help_of, tool

# Services that may run as root, and why: a new volume is root's, and only root can give it away.
ROOT_SERVICES = {'mimir-data'}
# Where the pulled programs listen, unless a file of ours says so; in ours the Dockerfile does.
PORTS = {'prometheus': {9090}, 'grafana': {3000}}
# A program whose flags a service's command has: one of ours by its page, or one that is asked.
PAGES = {'mimir-rls': 'docs/configuration.md', 'overrides-sync': 'docs/overrides-sync.md'}
ASKED = {'prometheus': 'prometheus', 'mimir': 'mimir'}
FILES = ('ops/prometheus/prometheus.yml', 'ops/compose/grafana/datasources.yaml', '.env.example')


class Refused(Exception):
    """What docker compose says about the file."""


def docker_compose(root: Path, *arguments: str) -> str:
    # Without the variables of the caller's environment, and without a .env file.
    shown = subprocess.run([tool('docker-compose'), '--project-directory', '.', '--file', 'compose.yaml', *arguments], cwd=root,
                           env={'PATH': '/usr/bin:/bin', 'HOME': '/nonexistent'}, capture_output=True, text=True, check=False)
    if shown.returncode:
        raise Refused(shown.stderr.strip())
    return shown.stdout


def read(root: Path, env_file: str) -> dict:
    return json.loads(docker_compose(root, '--env-file', env_file, 'config', '--format', 'json'))


def variables(text: str) -> dict[str, str]:
    """NAME=VALUE lines, without comments."""
    return dict(line.split('=', 1) for line in text.splitlines() if line and not line.startswith('#') and '=' in line)


def env_faults(root: Path, project: dict) -> list[str]:
    """.env.example has each variable of compose.yaml, no other, and the defaults that hold without it."""
    example = variables((root / '.env.example').read_text())
    used = set(re.findall(r'\$\{([A-Z_]+)', (root / 'compose.yaml').read_text()))
    found = [f'.env.example: {name} is missing' for name in sorted(used - example.keys())]
    found += [f'.env.example: {name} is not used by compose.yaml' for name in sorted(example.keys() - used)]
    if read(root, '.env.example') != project:
        found.append('.env.example: a value is not the default that compose.yaml has')
    return found


def confinement_faults(project: dict) -> list[str]:
    wanted = {'read_only': True, 'cap_drop': ['ALL'], 'security_opt': ['no-new-privileges:true']}
    found = []
    for name, service in project['services'].items():
        found += [f'compose.yaml: {name}: {key} is {service.get(key)}, expected {value}' for key, value in wanted.items() if service.get(key) != value]
        user = str(service.get('user', '0')).split(':')[0]
        if (user == '0') != (name in ROOT_SERVICES):
            found.append(f'compose.yaml: {name}: it runs as user {user}')
        for port in service.get('ports', []):
            if port.get('host_ip') != '127.0.0.1':
                found.append(f'compose.yaml: {name}: port {port["target"]} is published beyond loopback')
    return found


def ports_of(root: Path, project: dict, file: Dockerfile, name: str) -> set[int]:
    """Where a service listens."""
    service = project['services'][name]
    if name == 'mimir':
        return set(map(int, re.findall(r'(?:http|grpc)_listen_port: (\d+)', (root / 'ops/compose/mimir.yaml').read_text())))
    return file.ports(service['build']['target']) if 'build' in service else PORTS.get(name, set())


def texts(root: Path, project: dict) -> Iterator[tuple[str, str]]:
    """Where addresses of services may stand, and what stands there."""
    for name, service in project['services'].items():
        yield f'compose.yaml: {name}', json.dumps([service.get('command'), service.get('environment')])
    for name in FILES:
        yield name, (root / name).read_text()


def port_faults(root: Path, project: dict, file: Dockerfile) -> list[str]:
    services = project['services']
    found = []
    for name, service in services.items():
        listens = ports_of(root, project, file, name)
        found += [f'compose.yaml: {name}: port {port["target"]} is published, it listens on {sorted(listens)}'
                  for port in service.get('ports', []) if port['target'] not in listens]
    # An address and no image's tag: a tag has more than digits here, or stands after the name of one.
    address = re.compile(rf'(?<![\w./-])(?:https?://)?({"|".join(map(re.escape, services))}):(\d+)')
    for place, text in texts(root, project):
        for name, port in address.findall(text):
            if int(port) not in ports_of(root, project, file, name):
                found.append(f'{place}: {name}:{port}: {name} does not listen there')
    return found


def path_faults(root: Path, project: dict) -> list[str]:
    """What is mounted is there, and what a command or the environment names is mounted."""
    found = []
    for name, service in project['services'].items():
        mounts = {}
        for volume in service.get('volumes', []):
            mounts[volume['target']] = Path(volume['source']) if volume['type'] == 'bind' else None
            if volume['type'] == 'bind' and not Path(volume['source']).exists():
                found.append(f'compose.yaml: {name}: {volume["source"].removeprefix(f"{root}/")} is mounted and not there')
        named = re.findall(r'(?<![\w.])/etc/[\w./-]+', json.dumps([service.get('command'), service.get('environment')]))
        for path in named:
            mounted = next((target for target in mounts if f'{path}/'.startswith(f'{target}/')), None)
            source = mounts[mounted] / path[len(mounted):].lstrip('/') if mounted and mounts[mounted] else None
            if not source or not source.exists():
                found.append(f'compose.yaml: {name}: {path} is in no mount')
    return found


def flag_faults(root: Path, project: dict) -> list[str]:
    """Each flag is one of the program's: of ours, by the table that is tested against its --help."""
    found = []
    for name, service in project['services'].items():
        flags = [word.split('=')[0] for word in service.get('command') or [] if word.startswith('-')]
        text = (root / PAGES[name]).read_text() if name in PAGES else help_of(ASKED[name]) if name in ASKED else ''
        found += [f'compose.yaml: {name}: it has no flag {flag}' for flag in flags if not re.search(rf'(?<![\w-]){re.escape(flag)}(?![\w-])', text)]
    script = (root / 'ops/docker/envoy').read_text()
    for flag in re.findall(r'(?<!\S)(--[a-z-]+)', script[script.index('exec envoy'):]):
        if not re.search(rf'{flag}(?![\w-])', help_of('envoy')):
            found.append(f'ops/docker/envoy: envoy has no flag {flag}')
    return found


def environment_faults(root: Path, project: dict) -> list[str]:
    """Envoy's variables are ones that the scripts of its image know."""
    known = (root / 'ops/envoy/configure').read_text() + (root / 'ops/docker/envoy').read_text()
    names = project['services'].get('mimir-envoy', {}).get('environment', {})
    return [f'compose.yaml: mimir-envoy: neither configure nor ops/docker/envoy knows {name}' for name in names if not re.search(rf'\b{name}\b', known)]


def build_faults(project: dict, file: Dockerfile) -> list[str]:
    targets = {name: service['build'].get('target') for name, service in project['services'].items() if 'build' in service}
    return [f'compose.yaml: {name}: {target} is no target of the Dockerfile' for name, target in targets.items() if not file.named(target or '')]


def version_faults(root: Path, project: dict) -> list[str]:
    """Prometheus is the one that tests run."""
    tested = re.search(r"name='prometheus', version='(.+?)'", (root / 'tests/tools/install').read_text())[1]
    image = project['services']['prometheus']['image']
    return [] if image.endswith(f':v{tested}') else [f'compose.yaml: prometheus is {image}, tests run {tested}']


def references(project: dict) -> set[str]:
    """The images that are pulled."""
    return {service['image'] for service in project['services'].values() if 'build' not in service}


def faults(root: Path) -> list[str]:
    try:
        project, file = read(root, '/dev/null'), Dockerfile(root)
        return [
            *env_faults(root, project), *confinement_faults(project), *port_faults(root, project, file), *path_faults(root, project),
            *flag_faults(root, project), *environment_faults(root, project), *build_faults(project, file), *version_faults(root, project)]
    except Refused as refused:
        return [f'docker compose: {refused}']
