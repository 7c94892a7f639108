"""One version: of the workspace, its crates, the charts, the images, and of what pages tell a reader to install."""
import re
from pathlib import Path

PAGES = ('*.md', 'docs/*.md', 'docs/**/*.md', 'ops/**/*.md')
# An example of an upgrade names a version that is to come.
TAG = re.compile(r'helm install .*image\.tag=(v[0-9][^\s`"\']*)')


def pages(root: Path) -> set[Path]:
    return {page for pattern in PAGES for page in root.glob(pattern)}


def looked_at(root: Path) -> set[Path]:
    named = ('Cargo.toml', 'Cargo.lock', 'Dockerfile', 'CHANGELOG.md', 'ops/release/images')
    return {root / name for name in named} | set(root.glob('charts/*/Chart.yaml')) | set(root.glob('crates/*/Cargo.toml')) | pages(root)


def workspace(root: Path) -> str:
    version = re.search(r'^\[workspace\.package\]\nversion = "([^"]+)"$', (root / 'Cargo.toml').read_text(), re.M)
    return f'v{version[1]}' if version else 'no version'


def crates(root: Path, version: str) -> list[str]:
    found, names = [], set()
    for manifest in sorted(root.glob('crates/*/Cargo.toml')):
        text = manifest.read_text()
        names |= set(re.findall(r'^\[package\]\nname = "([^"]+)"$', text, re.M))
        if not re.search(r'^version\.workspace = true$', text, re.M):
            found.append(f'{manifest.relative_to(root)}: write version.workspace = true')
    # A crate of ours has no source.
    locked = re.findall(r'^name = "([^"]+)"\nversion = "([^"]+)"\n(?!source)', (root / 'Cargo.lock').read_text(), re.M)
    if missing := names - {name for name, _ in locked}:
        found.append(f'Cargo.lock: {", ".join(sorted(missing))} missing')
    return found + [f'Cargo.lock: {name} has {number}, the workspace has {version}: cargo update --workspace'
                    for name, number in locked if name in names and f'v{number}' != version]


def charts(root: Path, version: str) -> list[str]:
    found = []
    for chart in sorted(root.glob('charts/*/Chart.yaml')):
        for key, expected in (('version', version[1:]), ('appVersion', version)):
            value = re.search(rf'^{key}: *"?([^"\n]*)"?$', chart.read_text(), re.M)
            if not value or value[1] != expected:
                found.append(f'{chart.relative_to(root)}: {key} is {value and value[1]}, the workspace has {version}')
    return found


def images(root: Path) -> list[str]:
    targets = set(re.findall(r'^FROM \S+ AS (\S+)$', (root / 'Dockerfile').read_text(), re.M))
    names = re.search(r'^images=\((.*)\)$', (root / 'ops/release/images').read_text(), re.M)
    if not names:
        return ['ops/release/images: there is no line images=(NAME...)']
    return [f'ops/release/images: {name} is no target of the Dockerfile' for name in names[1].split() if name not in targets]


def changelog(root: Path, version: str, tag: str | None) -> list[str]:
    headings = re.findall(r'^## (.*)$', (root / 'CHANGELOG.md').read_text(), re.M)
    found = [f'CHANGELOG.md: "## {heading}" is neither [Unreleased] nor [X.Y.Z] - YYYY-MM-DD' for heading in headings
             if not re.fullmatch(r'\[Unreleased\]|\[\d+\.\d+\.\d+[^\]]*\] - \d{4}-\d\d-\d\d', heading)]
    if tag and tag != version:
        found.append(f'the tag is {tag}, the workspace has {version}')
    if tag and not any(heading.startswith(f'[{version[1:]}] - ') for heading in headings):
        found.append(f'CHANGELOG.md: there is no section [{version[1:]}] - YYYY-MM-DD: move what is under [Unreleased] there')
    return found


def faults(root: Path, tag: str | None) -> list[str]:
    version = workspace(root)
    found = [*crates(root, version), *charts(root, version), *images(root), *changelog(root, version, tag)]
    for page in sorted(pages(root)):
        found += [f'{page.relative_to(root)}: helm install with image.tag={named}, the workspace has {version}'
                  for named in TAG.findall(page.read_text()) if named != version]
    return found
