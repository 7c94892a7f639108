// One tenant: how it fares, since when, by which limit, where that is written, and what to type to change it.

import { read, readAll } from './api.js';
import { badge, copyable, fill, h, notice } from './dom.js';
import { explainForm } from './explain.js';
import { amount, clock, count, duration, exact, percent, reason, short } from './format.js';
import { helpFor, placeOf } from './help.js';
import { Plot, steps } from './plot.js';
import { home } from './replicas.js';
import { byReason, deniedPart, mainReason, nearest, stateOf, tokensLeft } from './state.js';

const EVERY_MILLIS = 5_000;
/** Seconds of a plot, the length of its steps, and the name. */
const RANGES = [[300, 1, '5 min'], [1_800, 10, '30 min'], [7_200, 60, '2 h']];
const REASONS = [
  ['request_rate', 'request'], ['ingestion_rate', 'rate'], ['ingestion_burst', 'burst'], ['other', 'other'],
];
const DENIALS = 10;

export function tenantView({ rest: tenant, query, changeQuery }) {
  const path = encodeURIComponent(tenant);
  let range = rangeOf(query);
  let usage = null;
  const badges = h('span', { class: 'badges' });
  const verdict = h('div', { class: 'card verdict-card' }, h('p', { class: 'note' }, 'Loading …'));
  const help = h('section', { class: 'card', 'aria-labelledby': 'help-title', hidden: true });
  const facts = h('dl', { class: 'facts' });
  const denials = h('div', {});
  const limits = h('div', {});
  const plots = {
    items: new Plot({ title: 'Rate', unit: 'items/s', empty: 'Nothing was sent' }),
    denied: new Plot({ title: 'Denied pushes by reason', unit: 'pushes/s', stacked: true, empty: 'No push was denied' }),
    requests: new Plot({ title: 'Pushes', unit: 'pushes/s', empty: 'Nothing was sent' }),
  };
  const ranges = h('div', { class: 'segments', role: 'group', 'aria-label': 'Time shown' }, RANGES.map(([seconds, , name]) =>
    h('button', { type: 'button', 'data-seconds': seconds, onclick: () => changeQuery({ range: seconds }) }, name)));
  const history = h('section', { 'aria-labelledby': 'history-title' },
    h('div', { class: 'section-head' }, h('h2', { id: 'history-title' }, 'What it sent'), ranges),
    h('div', { class: 'plots' }, Object.values(plots).map((plot) => plot.element)));

  const element = h('div', { class: 'tenant' },
    h('p', { class: 'crumb' }, h('a', { href: '#/tenants' }, 'Tenants')),
    h('h1', { class: 'name', title: tenant }, h('span', {}, tenant), badges),
    verdict,
    h('div', { class: 'columns' }, help, h('section', { class: 'card', 'aria-labelledby': 'now-title' }, h('h2', { id: 'now-title' }, 'Now'), facts)),
    history,
    tenant.startsWith('<') ? null : h('section', { class: 'card', 'aria-labelledby': 'explain-title' }, h('h2', { id: 'explain-title' }, 'What would happen to a push'),
      h('p', { class: 'note' }, 'Decided as a push that came now. Nothing is charged.'), explainForm(tenant)),
    h('section', { 'aria-labelledby': 'denials-title' }, h('h2', { id: 'denials-title' }, 'Last denials'), denials),
    h('section', { 'aria-labelledby': 'limits-title' }, h('h2', { id: 'limits-title' }, 'Limits in force'), limits));

  function showRange() {
    for (const button of ranges.children) button.setAttribute('aria-pressed', String(Number(button.dataset.seconds) === range[0]));
  }

  function showPlots() {
    history.hidden = !usage;
    if (!usage) return;
    const [seconds, length] = range;
    const { times, steps: sums, ...bounds } = steps(usage.history, usage.now, seconds, length);
    const perSecond = (of) => sums.map((sum) => of(sum) / sum.seconds);
    const mark = usage.denied_since ? { time: Date.parse(usage.denied_since), text: `denials began ${clock(usage.denied_since, usage.now)}` } : null;
    const reasons = sums.map(byReason);
    const limitOf = (bucket) => bucket?.limit.rate ?? null;
    plots.items.show({ ...bounds, times, limit: limitOf(usage.ingestion), mark, series: [{ name: 'sent', kind: 'sent', values: perSecond((sum) => sum.items) }] });
    plots.requests.show({ ...bounds, times, limit: limitOf(usage.request), mark: null, series: [{ name: 'sent', kind: 'sent', values: perSecond((sum) => sum.requests) }] });
    plots.denied.show({ ...bounds, times, limit: null, mark,
      series: REASONS.map(([name, kind]) => ({ name: reason(name), kind, values: reasons.map((of, at) => of[name] / sums[at].seconds) })) });
  }

  function show(details, status, rows) {
    const row = usage ?? { ...details, minute: null, quarter_hour: null, usage_ratio: {} };
    const { word, kind } = stateOf(row);
    update(badges, `${word} ${details.mode}`, () => [badge(word, kind), badge(`mode ${details.mode}`, details.mode === 'enforce' ? 'plain' : 'warn')]);
    const sentences = verdictOf(row, usage?.now);
    update(verdict, sentences.join('\n'), () => sentences.map((text, at) => h('p', { class: at === 0 ? 'lead' : 'note' }, text)));
    verdict.className = `card verdict-card ${kind}`;
    const helped = helpFor(row, details, status, usage?.suggested);
    help.hidden = helped.where.length === 0;
    update(help, JSON.stringify(helped), () => helpElements(helped));
    fill(facts, factsOf(row, details, status).map(([name, value]) => [h('dt', {}, name), h('dd', { class: 'figure' }, value)]));
    update(denials, rows.map((one) => one.sequence).join(), () => denialTable(rows));
    update(limits, JSON.stringify([details.limits, details.set_in, details.edge_limits]), () => limitTable(details));
    showPlots();
  }

  showRange();
  return {
    title: tenant,
    element,
    every: EVERY_MILLIS,
    change(changed) {
      range = rangeOf(changed);
      showRange();
      showPlots();
    },
    async refresh(signal) {
      const other = tenant === '<other>';
      const [sent, details, status, denied] = await Promise.all([
        readAll(`/api/v1/usage/${path}`, signal),
        other ? null : readAll(`/api/v1/tenants/${path}`, signal),
        read('/api/v1/status', signal),
        other ? null : readAll(`/api/v1/denials?tenant=${path}&limit=${DENIALS}`, signal),
      ]);
      const lives = home(sent.answers);
      usage = lives.body && { ...lives.body, now: sent.now };
      // All replicas have the same limits, and only one has the buckets and the denials.
      const there = (all) => all?.answers.find(({ replica, body }) => body && replica === lives.replica) ?? all?.answers.find(({ body }) => body);
      const known = there(details)?.body ?? { mode: 'enforce', limits: {}, set_in: {}, edge_limits: {} };
      show({ ...known, replica: usage && lives.replica }, status, there(denied)?.body.denials ?? []);
    },
  };
}

function rangeOf(query) {
  return RANGES.find(([seconds]) => String(seconds) === query.get('range')) ?? RANGES[1];
}

/** Replaces the content only where the key says that it differs, so that selections and the focus stay. */
function update(element, key, make) {
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  fill(element, make());
}

/** What a reader has to know, the most important first. */
function verdictOf(row, now) {
  if (!row.minute) {
    return ['This replica has no usage of this tenant.', 'It sent nothing here in the last two hours, another replica decides its pushes, or it counts among those without usage of their own.'];
  }
  const sentences = [];
  const { minute, quarter_hour: recent } = row;
  const main = mainReason(row);
  const { refusing } = stateOf(row);
  const rate = row.ingestion?.limit.rate;
  const sends = `It sends ${exact(minute.items_per_second)} items/s in ${exact(minute.requests_per_second)} pushes/s`;
  if (main) {
    const verb = row.mode === 'enforce' ? 'Refused' : 'Would be refused';
    const since = row.denied_since ? ` since ${clock(row.denied_since, now)}, for ${duration((now - Date.parse(row.denied_since)) / 1000)}` : ' in the last 15 minutes';
    sentences.push(`${verb}${since}, by the ${reason(main)}.${refusing ? '' : ' Not in the last minute.'}`);
    sentences.push(`${percent(deniedPart(row))} of its pushes in the last 15 minutes: ${exact(recent.denied)} of ${exact(recent.requests)}.`);
  } else {
    const near = nearest(row);
    sentences.push(near && near[1] >= 0.8 ? `Not refused, and near its ${reason(near[0])}: the last minute used ${percent(near[1])}.` : 'No push was refused in the last 15 minutes.');
  }
  const limit = rate === null || rate === undefined ? 'there is no limit on items' : `the limit is ${exact(rate)} items/s with a burst of ${exact(row.ingestion.limit.burst)}`;
  sentences.push(`${sends}; ${limit}.`);
  if (main === 'ingestion_burst') sentences.push(`Its largest push has ${exact(recent.largest)} items. A push with more items than the burst is refused however long the client waits.`);
  if (row.never_retries) sentences.push('No refused push came again: unless its clients retry without the header Retry-Attempt, the refused samples are lost. Prometheus needs retry_on_http_429: true in its queue_config.');
  return sentences;
}

function helpElements({ title, where, suggestion, blocks, notes }) {
  return [
    h('h2', { id: 'help-title' }, title),
    h('ul', { class: 'places' }, where.map(({ field, value, place, own }) => h('li', {},
      h('code', {}, `${field}: ${value}`), h('span', { class: own ? 'place' : 'place muted' }, place)))),
    suggestion && h('p', {}, suggestion),
    blocks.map(({ text, code, label }) => [h('p', {}, text), copyable(code, label)]),
    notes.map((text) => h('p', { class: 'note' }, text)),
  ];
}

function factsOf(row, details, status) {
  const { minute, quarter_hour: recent } = row;
  const tokens = (bucket) => bucket && bucket.capacity !== null ? `${amount(Math.max(0, Math.floor(bucket.tokens)))} of ${amount(bucket.capacity)}` : 'no limit';
  return [
    minute && ['Rate, last minute', `${short(minute.items_per_second)} items/s`],
    minute && ['Highest second', `${amount(minute.peak_items)} items`],
    minute && ['Pushes', `${short(minute.requests_per_second)}/s`],
    minute && ['Largest push', `${amount(minute.largest)} items`],
    ...Object.entries(row.usage_ratio).map(([name, part]) => [`Used of the ${reason(name)}`, percent(part)]),
    ['Tokens for items', tokens(row.ingestion)],
    ['Tokens for pushes', tokens(row.request)],
    tokensLeft(row) !== null && ['Left in the emptier bucket', percent(tokensLeft(row))],
    recent && ['Retries, 15 min', exact(recent.retries)],
    minute && row.refused_in_a_row > 0 && ['Refused in a row', exact(row.refused_in_a_row)],
    ['Distributors', exact(status.distributors)],
    details.replica ? ['Decided by', details.replica] : ['Decided by this replica', details.has_buckets || minute?.requests > 0 ? 'yes' : 'not now'],
  ].filter(Boolean);
}

function denialTable(rows) {
  if (!rows.length) return notice('No denial is kept', 'The server keeps the last 1,000 denials of all tenants.');
  const heads = ['Time', 'Reason', 'Status', 'Items', 'Attempt', 'What the client was told'];
  const items = (one) => one.samples + one.histograms + one.exemplars + one.metadata;
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-labelledby': 'denials-title' },
    h('table', { class: 'cards', role: 'table', 'aria-labelledby': 'denials-title' },
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, heads.map((title) => h('th', { scope: 'col', role: 'columnheader', class: ['Status', 'Items', 'Attempt'].includes(title) && 'number' }, title)))),
      h('tbody', { role: 'rowgroup' }, rows.map((one) => h('tr', { role: 'row' },
        cell('Time', h('time', { datetime: one.time, title: one.time }, clock(one.time))),
        cell('Reason', [reason(one.reason), one.decision === 'would_deny' && h('span', { class: 'detail' }, `only counted, mode ${one.mode}`)]),
        cell('Status', String(one.status), true),
        cell('Items', items(one) ? amount(items(one)) : '–', true),
        cell('Attempt', String(one.retry_attempt + 1), true),
        cell('What the client was told', h('details', { class: 'message' }, h('summary', {}, firstWords(one.message)), h('p', {}, one.message))))))));
}

function cell(label, content, number = false) {
  return h('td', { role: 'cell', 'data-label': label, class: number && 'number' }, content);
}

function firstWords(text) {
  return text.length > 70 ? `${text.slice(0, 68).replace(/\s\S*$/, '')} …` : text;
}

function limitTable({ limits, set_in: own, edge_limits: edge }) {
  if (!limits) return notice('There are no limits yet', 'The server has not loaded any. Status says why.');
  const rows = Object.entries(limits).map(([field, value]) => ({ field, value: JSON.stringify(value), ...placeOf(field, own) }));
  const edgeRows = Object.entries(edge ?? {}).filter(([, value]) => value !== null)
    .map(([field, value]) => ({ field, value: String(value), place: 'edge config', own: true }));
  const [set, defaults] = [rows.filter((row) => row.own).concat(edgeRows), rows.filter((row) => !row.own)];
  const table = (list, id) => h('div', { class: 'scroll' }, h('table', { class: 'limits', 'aria-labelledby': id },
    h('thead', {}, h('tr', {}, ['Field', 'Value', 'Set in'].map((title) => h('th', { scope: 'col' }, title)))),
    h('tbody', {}, list.map(({ field, value, place }) => h('tr', {}, h('th', { scope: 'row' }, h('code', {}, field)), h('td', {}, h('code', {}, value)), h('td', {}, place))))));
  return [
    set.length ? table(set, 'limits-title') : h('p', { class: 'note' }, 'The tenant has no limits of its own.'),
    h('details', {}, h('summary', { id: 'defaults-title' }, `${count(defaults.length, 'limit')} ${defaults.length === 1 ? 'is a default' : 'are defaults'}`), table(defaults, 'defaults-title')),
  ];
}
