"""The Dockerfile and what it may take from the repository."""
import re
import subprocess
from pathlib import Path

from .tools import tool

REFERENCE = re.compile(r'(?P<name>[a-z0-9._/-]+):(?P<tag>[A-Za-z0-9._-]+)')


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction with its arguments, comments left out and continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith('#')]
    joined = re.sub(r'\\\n', ' ', '\n'.join(lines))
    return [(word.upper(), ' '.join(rest.split())) for word, _, rest in (line.strip().partition(' ') for line in joined.splitlines()) if word]


class Stage:
    """One FROM and what stands below it."""

    def __init__(self, arguments: str):
        words = arguments.split()
        self.base = words[0]
        self.name = words[2] if len(words) == 3 and words[1].upper() == 'AS' else ''
        self.copies: list[tuple[str, list[str], str]] = []      # the stage it is from or '', sources, target
        self.ports: set[int] = set()
        self.texts: list[str] = []                              # what is run, and with which variables

    def add(self, instruction: str, arguments: str) -> None:
        if instruction == 'COPY':
            words = arguments.split()
            options = dict(word.removeprefix('--').split('=', 1) for word in words if word.startswith('--'))
            paths = [word for word in words if not word.startswith('--')]
            self.copies.append((options.get('from', ''), paths[:-1], paths[-1]))
        elif instruction in ('CMD', 'ENTRYPOINT', 'ENV'):
            self.texts.append(arguments)
        elif instruction == 'EXPOSE':
            self.ports |= {int(port) for port in arguments.split()}


class Dockerfile:
    """The stages of the repository's Dockerfile, by name; the last one has none."""

    def __init__(self, root: Path):
        self.root, self.stages = root, []
        self.arguments: dict[str, str] = {}     # the defaults of those that FROM may use
        for instruction, arguments in instructions((root / 'Dockerfile').read_text()):
            if instruction == 'FROM':
                self.stages.append(Stage(re.sub(r'\$\{(\w+)\}', lambda name: self.arguments.get(name[1], name[0]), arguments)))
            elif instruction == 'ARG' and not self.stages:
                name, _, default = arguments.partition('=')
                self.arguments[name] = default
            elif self.stages:
                self.stages[-1].add(instruction, arguments)

    def named(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)

    def references(self) -> set[str]:
        """The images that are pulled."""
        names = {stage.name for stage in self.stages}
        bases = {stage.base for stage in self.stages} | {source for stage in self.stages for source, _, _ in stage.copies}
        return bases - names - {'', 'scratch'}

    def ports(self, name: str) -> set[int]:
        """What a stage exposes, with what the stages below it do."""
        stage = self.named(name)
        return stage.ports | self.ports(stage.base) if stage else set()

    def sources(self) -> list[str]:
        """What is copied from the repository."""
        return [source for stage in self.stages for origin, sources, _ in stage.copies if not origin for source in sources]


def ignored(path: str, patterns: list[str]) -> bool:
    """Whether .dockerignore keeps a file out of the context: the last pattern that fits it, or a folder that it is in, decides."""
    parts = path.split('/')
    prefixes = ['/'.join(parts[:length]) for length in range(1, len(parts) + 1)]
    out = False
    for pattern in patterns:
        wanted = re.compile(re.escape(pattern.removeprefix('!').strip('/')).replace(r'\*\*', '.*').replace(r'\*', '[^/]*'))
        if any(wanted.fullmatch(prefix) for prefix in prefixes):
            out = not pattern.startswith('!')
    return out


def files_of(root: Path, source: str) -> list[str]:
    path = root / source
    if path.is_file():
        return [source]
    return sorted(str(file.relative_to(root)) for file in path.rglob('*') if file.is_file())


def patterns_of(root: Path) -> list[str]:
    return [line.strip() for line in (root / '.dockerignore').read_text().splitlines() if line.strip() and not line.startswith('#')]


def copy_faults(file: Dockerfile) -> list[str]:
    patterns = patterns_of(file.root)
    found = []
    for source in file.sources():
        files = files_of(file.root, source)
        if not files:
            found.append(f'Dockerfile: COPY {source}: there is no such file or folder')
        elif all(ignored(name, patterns) for name in files):
            found.append(f'Dockerfile: COPY {source}: .dockerignore keeps it out')
    for pattern in patterns:
        kept = pattern.removeprefix('!')
        if pattern.startswith('!') and not any(source.rstrip('/').startswith(kept) for source in file.sources()):
            found.append(f'.dockerignore: {pattern}: nothing in the Dockerfile copies it')
    names = {stage.name for stage in file.stages}
    for stage in file.stages:
        for origin, _, _ in stage.copies:
            if origin and origin not in names:
                found.append(f'Dockerfile: COPY --from={origin}: there is no such stage')
    return found


def is_copied(root: Path, path: str, stage: Stage) -> bool:
    for origin, sources, target in stage.copies:
        for source in sources:
            place = target if not target.endswith('/') or (root / source).is_dir() else target + Path(source).name
            if path == place or not origin and path.startswith(place) and (root / source / path[len(place):].lstrip('/')).is_file():
                return True
    return False


def path_faults(file: Dockerfile) -> list[str]:
    """What an image runs or reads from our folders was copied there."""
    found = []
    for stage in file.stages:
        for path in re.findall(r'/(?:etc|usr/local/bin)/[\w./-]*[\w-]', ' '.join(stage.texts).replace('/usr/local/bin:', '')):
            if not is_copied(file.root, path, stage):
                found.append(f'Dockerfile: {stage.name}: {path} is not copied')
    return found


def setting_faults(file: Dockerfile) -> list[str]:
    """Variables of our programs are ones that they read, by the tables that are tested against their --help."""
    known = (file.root / 'docs/configuration.md').read_text() + (file.root / 'docs/overrides-sync.md').read_text() + (file.root / '.env.example').read_text()
    found = []
    for name in ('Dockerfile', 'docs/compose.md'):
        for variable in sorted(set(re.findall(r'\b(?:MIMIR_RLS|OVERRIDES_SYNC)_[A-Z_]+', (file.root / name).read_text()))):
            if not re.search(rf'\b{variable}\b', known):
                found.append(f'{name}: no program reads {variable}')
    return found


def manifest_faults(file: Dockerfile) -> list[str]:
    """Cargo needs the manifest of every crate of the workspace before it compiles anything."""
    dependencies = file.named('dependencies')
    copied = {source for _, sources, _ in dependencies.copies for source in sources} if dependencies else set()
    needed = {'Cargo.toml', 'Cargo.lock', 'tests/e2e/Cargo.toml', *(str(path.relative_to(file.root)) for path in file.root.glob('crates/*/Cargo.toml'))}
    return [f'Dockerfile: the stage dependencies does not copy {name}' for name in sorted(needed - copied)]


def target_faults(file: Dockerfile) -> list[str]:
    """Each chart's image is a target, and what builds without a target finds one too."""
    found = []
    for values in sorted(file.root.glob('charts/*/values.yaml')):
        repository = re.search(r'^image:\n(?:[ #].*\n)*?  repository: (\S+)$', values.read_text(), re.M)
        if not repository or not file.named(repository[1]):
            found.append(f'{values.relative_to(file.root)}: image.repository {repository and repository[1]} is no target of the Dockerfile')
    default = file.arguments.get('IMAGE', '')
    if not file.named(default):
        found.append(f'Dockerfile: ARG IMAGE={default} is no target')
    return found


def version_faults(file: Dockerfile) -> list[str]:
    """What is built and run in images is what tests build and run here."""
    toolchain = re.search(r'channel = "(.+)"', (file.root / 'rust-toolchain.toml').read_text())[1]
    envoy = re.search(r"name='envoy', version='(.+?)'", (file.root / 'tests/tools/install').read_text())[1]
    wanted = {'rust': f'{toolchain}-slim-bookworm', 'envoyproxy/envoy': f'distroless-v{envoy}'}
    found = []
    for name, tag in wanted.items():
        if f'{name}:{tag}' not in file.references():
            found.append(f'Dockerfile: {name} is to have the tag {tag}, by rust-toolchain.toml and tests/tools/install')
    return found


def port_faults(file: Dockerfile) -> list[str]:
    """What is exposed is what the programs listen on by default; their documented defaults are tested against their --help."""
    pages = {'mimir-rls': 'docs/configuration.md', 'overrides-sync': 'docs/overrides-sync.md'}
    found = []
    for name, page in pages.items():
        defaults = {int(port) for port in re.findall(r'^\| `--(?:grpc|http)-listen` \| `0\.0\.0\.0:(\d+)`', (file.root / page).read_text(), re.M)}
        if file.ports(name) != defaults:
            found.append(f'Dockerfile: {name} exposes {sorted(file.ports(name))}, {page} has {sorted(defaults)}')
    listeners = set(map(int, re.findall(r'^    address: .*port_value: (\d+)', (file.root / 'ops/envoy/enforce.yaml').read_text(), re.M)))
    if not file.ports('mimir-envoy') or file.ports('mimir-envoy') - listeners:
        found.append(f'Dockerfile: mimir-envoy exposes {sorted(file.ports("mimir-envoy"))}, ops/envoy/enforce.yaml listens on {sorted(listeners)}')
    return found


def hadolint_faults(file: Dockerfile) -> list[str]:
    shown = subprocess.run([tool('hadolint'), '--no-color', 'Dockerfile'], cwd=file.root, capture_output=True, text=True, check=False)
    faults = (shown.stdout + shown.stderr).splitlines()
    return [f'hadolint: {line}' for line in faults] or ([f'hadolint ended with status {shown.returncode}'] if shown.returncode else [])


def faults(root: Path) -> list[str]:
    file = Dockerfile(root)
    checks = (copy_faults, path_faults, setting_faults, manifest_faults, target_faults, version_faults, port_faults, hadolint_faults)
    return [fault for check in checks for fault in check(file)]
