// What to change for a tenant: where its limit is written, what its usage suggests, and what to type.

import { exact, reason } from './format.js';
import { mainReason, nearest } from './state.js';

const FIELDS = {
  items: ['ingestion_rate', 'ingestion_burst_size'],
  requests: ['request_rate', 'request_burst_size'],
};

/** The place of a field: `{ place, own }`. */
export function placeOf(field, own) {
  if (!(field in own)) return { place: 'default limits', own: false };
  const at = own[field];
  if (!at) return { place: 'the entry of the tenant in the overrides', own: true };
  return { place: at.line ? `${at.document}, line ${at.line}` : `key ${at.document}`, own: true };
}

/**
 * What would help a tenant, for its most frequent reason or else its nearest limit: `{ title, where, suggestion, blocks, notes }`, all texts.
 */
export function helpFor(row, details, status, suggested) {
  const main = mainReason(row) ?? nearest(row)?.[0] ?? 'ingestion_rate';
  const kind = main === 'request_rate' ? 'requests' : 'items';
  const fields = FIELDS[kind];
  const values = details.limits ?? {};
  const where = fields.filter((field) => field in values).map((field) => ({ field, value: String(values[field]), ...placeOf(field, details.set_in) }));
  const wanted = suggested?.[kind === 'items' ? 'ingestion' : 'request'];
  const isDenied = mainReason(row) !== null;
  const notes = [];
  const blocks = [];
  if (where.length === 0) return { title: 'What would help', where, suggestion: null, blocks, notes };
  if (where.every((it) => !it.own)) {
    notes.push(status.limits.default_limits_given
      ? 'The default limits are those that --default-limits and the flags beside it give.'
      : 'The default limits are those that Mimir has built in: no flag gives others.');
  }
  let suggestion = null;
  if (wanted) {
    const noun = kind === 'items' ? 'items' : 'pushes';
    const enough = Number(values[fields[0]]) >= wanted.rate && (kind === 'requests' || Number(values[fields[1]]) >= wanted.burst);
    suggestion = `In the last ${minutes(wanted.seconds)} it sent at most ${exact(wanted.sustained)} ${noun} a second on average${wanted.seconds > 900 ? ' over 15 minutes' : ''}, ${exact(wanted.peak)} in one second, and ${exact(wanted.beyond)} beyond that rate at once.`;
    if (enough && !isDenied) suggestion += ' Its limits leave room for that.';
    else blocks.push(...changes(details, status, fields, wanted, where));
  } else if (row.minute) {
    suggestion = 'Its pushes in the last two hours are not known well enough to suggest a limit.';
  }
  if (blocks.length && details.configmap) notes.push('Where Helm or GitOps owns the ConfigMap, make the change there, or it is undone.');
  return { title: isDenied ? `To let it through: the ${reason(main)}` : row.minute ? 'Its nearest limit' : 'Its limits', where, suggestion, blocks, notes };
}

function minutes(seconds) {
  return seconds < 120 ? `${seconds} s` : seconds < 7_200 ? `${Math.round(seconds / 60)} minutes` : '2 hours';
}

/** What to write, and the command that opens the place. */
function changes(details, status, [rateField, burstField], wanted, where) {
  const tenant = details.limits_key;
  const texts = { [rateField]: plain(wanted.rate), [burstField]: plain(wanted.burst) };
  const at = where.map(({ field }) => details.set_in[field]).find(Boolean);
  const configmap = details.configmap;
  const isFlat = at && at.line === null && configmap;
  if (isFlat) {
    const data = Object.fromEntries(Object.entries(texts).map(([field, text]) => [`${tenant}.${field}`, text]));
    return [{
      text: 'What it sent passes, with a quarter more, under:', label: 'the command',
      code: `kubectl patch configmap ${configmap.name} --namespace ${configmap.namespace} --type merge --patch '${JSON.stringify({ data })}'`,
    }];
  }
  const entry = [`  ${key(tenant)}:`, ...Object.entries(texts).map(([field, text]) => `    ${field}: ${text}`)];
  const yaml = { text: 'What it sent passes, with a quarter more, under:', label: 'the limits', code: ['overrides:', ...entry].join('\n') };
  return [yaml, ...command(details, status, at)];
}

function command(details, status, at) {
  const { source } = status.limits;
  const { configmap } = details;
  const line = at?.line ? `, at line ${at.line}` : '';
  if (configmap) {
    const where = at ? `in the key ${at.document}${line}` : 'below overrides';
    return [{ text: `Write it ${where}, with:`, label: 'the command', code: `kubectl edit configmap ${configmap.name} --namespace ${configmap.namespace}` }];
  }
  if (source.startsWith('file:')) {
    const files = source.slice('file:'.length).split(',');
    // Documents are called by the part of their paths that tells them apart.
    const file = files.find((path) => at && (path === at.document || path.endsWith(`/${at.document}`))) ?? at?.document ?? files.at(-1);
    return [{ text: `Write it into ${file}${line}, on the machine of mimir-rls:`, label: 'the command', code: `"\${EDITOR:-vi}" ${at?.line ? `+${at.line} ` : ''}${quoted(file)}` }];
  }
  return [{ text: 'overrides-sync reads the documents. The ConfigMap that it watches is named by its flag --limits:', label: 'the command',
    code: 'kubectl get deployments --all-namespaces --selector app.kubernetes.io/name=overrides-sync --output yaml | grep -- --limits' }];
}

/** A number of YAML. */
function plain(number) {
  return Number.isInteger(number) ? String(number) : String(Number(number.toPrecision(6)));
}

/** A key of YAML: quoted where it could be read as something else. */
function key(text) {
  return /^[A-Za-z][\w.-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text) ? text : JSON.stringify(text);
}

/** A word of a shell. */
function quoted(text) {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
