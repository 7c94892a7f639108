"""The patterns of renovate.json, tried on the files they are for: a pin that no pattern finds is one that nothing updates."""
import json
import re
from pathlib import Path

CONFIG = 'renovate.json'
# What has to be found, a pattern of the file's own: each of its matches is the version of one pin.
EXPECTED = {
    'compose.yaml': r'_IMAGE:-(?!\S*:dev)([^}]+)\}',
    '.env.example': r'^(?:MIMIR|PROMETHEUS|GRAFANA|BUSYBOX)_IMAGE=(.+)$',
    'docs/compose.md': r'^\| `([^`]+:[^`]*\.[^`]+)` \|',
    'rust-toolchain.toml': r'^channel = "([^"]*)"',
}


def looked_at(root: Path) -> set[Path]:
    return {root / name for name in (CONFIG, 'tests/tools/install', 'tests/tools/kinds.py', 'tests/tools/registry.py', *EXPECTED)}


def managers(root: Path) -> list[dict]:
    return json.loads((root / CONFIG).read_text())['customManagers']


def found(root: Path) -> list[tuple[str, str, str]]:
    """Each pin that a pattern finds: the file, the name and the version."""
    pins = []
    for manager in managers(root):
        for pattern in manager['managerFilePatterns']:
            name = re.fullmatch(r'/\^(.*)\$/', pattern)
            path = name[1].replace('\\', '') if name else pattern
            for match in (re.sub(r'\(\?<(?=[A-Za-z])', '(?P<', text) for text in manager['matchStrings']):
                for hit in re.finditer(match, (root / path).read_text()):
                    groups = hit.groupdict()
                    pins.append((path, groups.get('depName') or manager.get('depNameTemplate', ''), groups['currentValue']))
    return pins


def tools(root: Path) -> dict[str, str]:
    """What tests/tools/install takes from PyPI, npm and crates.io, with its version; go.mod pins the rest, apt the system."""
    names = r"(?:WheelTool|CargoTool)\(\s*name='([^']+)'(?:, version='([^']+)')?"
    return {name: version for name, version in re.findall(names, (root / 'tests/tools/install').read_text())}


def faults(root: Path) -> list[str]:
    pins, missing = found(root), []
    if ':ignoreModulesAndTests' not in json.loads((root / CONFIG).read_text()).get('ignorePresets', []):
        missing.append(f'{CONFIG}: without ignorePresets [":ignoreModulesAndTests"] the recommended presets leave out tests/tools')
    for manager in managers(root):
        for pattern in manager['managerFilePatterns']:
            path = re.sub(r'^/\^|\$/$|\\', '', pattern)
            if not any(pin[0] == path for pin in pins):
                missing.append(f'{CONFIG}: no pattern finds anything in {path}')
    versions = {version for path, _, version in pins if path == 'tests/tools/install'}
    missing += [f'{CONFIG}: no pattern finds {name} {version} in tests/tools/install' for name, version in tools(root).items() if version not in versions]
    for path, pattern in EXPECTED.items():
        known = {f'{name}:{version}' for file, name, version in pins if file == path} | {version for file, _, version in pins if file == path}
        for value in re.findall(pattern, (root / path).read_text(), re.M):
            if value not in known:
                missing.append(f'{path}: {value} is found by no pattern of {CONFIG}')
    return missing
