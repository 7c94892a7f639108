"""The dashboards: they are what their sources give, Grafana's schema has all that they say, and every metric, label and entry of the runbook in them exists."""
import functools
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from containers.tools import tool

FOLDER = 'ops/grafana/dashboards'
# The programs' own pages have their metrics with all labels, which is tested; of Envoy and Mimir there is a list, which is tested as well.
PAGES = ('docs/metrics.md', 'docs/overrides-sync.md')
RECORDED = 'ops/grafana/metrics.txt'
RUNBOOK = 'ops/runbooks/alerts.md'
RENDER = 'ops/grafana/render'
DATA_SOURCE = {'type': 'prometheus', 'uid': '${datasource}'}
SCRAPED = {'instance', 'job', 'le'}
SUFFIX = re.compile(r'_(bucket|sum|count)$')
GROUPED = re.compile(r'\bby \(([^)]*)\)')
FUNCTION = {'histogram_quantile', 'label_values', 'count_values', 'group_left', 'group_right'}
METRIC = re.compile(r'\b((?:rls|overrides_sync|envoy|cortex)_\w+)\s*(?:\{([^}]*)\})?')


def known(root: Path) -> dict[str, set[str]]:
    """Each metric with its labels."""
    metrics: dict[str, set[str]] = {}
    for page in PAGES:
        for row in re.findall(r'^\|((?: `[a-z_]+(?:\{[a-z_,]*\})?`,?)+) \|', (root / page).read_text(), re.M):
            for name, labels in re.findall(r'`([a-z_]+)(?:\{([a-z_,]*)\})?`', row):
                metrics[name] = set(filter(None, labels.split(',')))
    for line in (root / RECORDED).read_text().splitlines():
        if line and not line.startswith('#'):
            name, *labels = line.split()
            metrics[name] = set(labels)
    return metrics


def panels(board: dict) -> Iterator[dict]:
    for panel in board.get('panels', []):
        yield panel
        yield from panels(panel)


@functools.cache
def schema() -> tuple:
    """Grafana's types of a dashboard and its panels, the encoder of these, and the names of units, as Grafana's own library has them."""
    sys.path.insert(0, str(Path(tool('grafana-foundation-sdk')).parents[1]))
    importlib.import_module('grafana_foundation_sdk.cog.plugins').register_default_plugins()
    models = 'grafana_foundation_sdk.models'
    units = vars(importlib.import_module(f'{models}.units')).values()
    encoder = importlib.import_module('grafana_foundation_sdk.cog.encoder').JSONEncoder
    return importlib.import_module(f'{models}.dashboard').Dashboard, encoder, {unit for unit in units if isinstance(unit, str)}


def schema_faults(board: dict) -> Iterator[str]:
    """What the types do not keep is not in the schema, or of another type."""
    dashboard, encoder, units = schema()
    try:
        kept = json.loads(json.dumps(dashboard.from_json(board), cls=encoder))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        yield f"it is not of Grafana's schema: {type(error).__name__}: {error}"
        return
    yield from lost(board, kept, '')
    for panel in panels(board):
        unit = panel.get('fieldConfig', {}).get('defaults', {}).get('unit')
        if panel['type'] != 'row' and unit not in units:
            yield f'panel {panel.get("title")}: Grafana has no unit {unit}'


def lost(said: object, kept: object, place: str) -> Iterator[str]:
    if isinstance(said, dict) and isinstance(kept, dict):
        for key, value in said.items():
            if key in kept:
                yield from lost(value, kept[key], f'{place}.{key}')
            else:
                yield f"Grafana's schema has no {place}.{key}"
    elif isinstance(said, list) and isinstance(kept, list) and len(said) == len(kept):
        for number, (one, other) in enumerate(zip(said, kept, strict=True)):
            yield from lost(one, other, f'{place}[{number}]')
    elif said != kept:
        yield f"Grafana's schema has {kept!r} for {place}, not {said!r}"


def query_faults(query: str, metrics: dict[str, set[str]]) -> Iterator[str]:
    labels: set[str] = set()
    for name, selectors in METRIC.findall(GROUPED.sub(' ', query)):
        metric = name if name in metrics else SUFFIX.sub('', name)
        if metric not in metrics:
            yield f'there is no metric {name}'
            continue
        labels |= metrics[metric]
        for label in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)', selectors):
            if label not in metrics[metric] | SCRAPED:
                yield f'{name} has no label {label}'
    for grouped in GROUPED.findall(query):
        for label in re.split(r',\s*', grouped):
            if label and label not in labels | SCRAPED:
                yield f'nothing in {query} has a label {label}'
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', ' ', GROUPED.sub(' ', query))
    for word in re.findall(r'\b[a-z]\w*_\w+\b', bare):
        if not METRIC.fullmatch(word) and word not in FUNCTION:
            yield f'there is no metric {word}'


def board_faults(board: dict, metrics: dict[str, set[str]], entries: set[str]) -> Iterator[str]:
    variables = {variable['name'] for variable in board['templating']['list']}
    for panel in panels(board):
        if panel['type'] == 'row':
            continue
        title = panel.get('title')
        if not title or not panel.get('description'):
            yield f'panel {title}: it has no title or no description'
        for holder in (panel, *panel.get('targets', [])):
            if holder.get('datasource') != DATA_SOURCE:
                yield f'panel {title}: its data source is {holder.get("datasource")}, not the variable'
        if not panel.get('targets'):
            yield f'panel {title}: it asks nothing'
        for link in panel.get('links', []):
            entry = link['url'].removeprefix('${runbooks}/alerts.md#')
            if entry not in entries:
                yield f'panel {title}: no runbook has an entry {link["url"]}'
        for target in panel.get('targets', []):
            yield from (f'panel {title}: {fault}' for fault in query_faults(target['expr'], metrics))
            for name in re.findall(r'\$(?!__)\{?(\w+)', target['expr']):
                if name not in variables:
                    yield f'panel {title}: there is no variable {name}'
    for variable in board['templating']['list']:
        if variable['type'] == 'query':
            yield from (f'variable {variable["name"]}: {fault}' for fault in variable_faults(variable['query']['query'], metrics))


def variable_faults(query: str, metrics: dict[str, set[str]]) -> Iterator[str]:
    asked = re.fullmatch(r'label_values\((\w+), (\w+)\)', query)
    if not asked or asked[1] not in metrics or asked[2] not in metrics[asked[1]]:
        yield f'{query} is no label of a metric'


def faults(root: Path) -> list[str]:
    metrics, found, uids = known(root), [], {}
    entries = {title.lower() for title in re.findall(r'^## (\w+)$', (root / RUNBOOK).read_text(), re.M)}
    files = sorted((root / FOLDER).glob('*.json'))
    for path in files:
        place = f'{FOLDER}/{path.name}'
        try:
            board = json.loads(path.read_text())
        except ValueError as error:
            found.append(f'{place}: it is no JSON: {error}')
            continue
        if board['uid'] in uids:
            found.append(f'{place}: {uids[board["uid"]]} has the uid {board["uid"]}, too')
        uids[board['uid']] = path.name
        found += [f'{place}: {fault}' for fault in board_faults(board, metrics, entries)]
        found += [f'{place}: {fault}' for fault in schema_faults(board)]
    home = re.search(r'DEFAULT_HOME_DASHBOARD_PATH: /etc/mimir-edge/dashboards/(\S+)', (root / 'compose.yaml').read_text())
    if home and not (root / FOLDER / home[1]).is_file():
        found.append(f'compose.yaml: grafana: there is no dashboard {home[1]}')
    if not found:
        rendered = subprocess.run([sys.executable, root / RENDER, '--check'], capture_output=True, text=True, check=False)
        found += rendered.stderr.splitlines()
    return found or ([] if files else [f'{FOLDER} has no dashboard'])
