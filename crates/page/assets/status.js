// Whether the server works: how old its limits are, the feed, elections, and the flags that it runs with.

import { read, readAll } from './api.js';
import { badge, fill, h } from './dom.js';
import { bytes, clock, count, duration, exact, percent } from './format.js';

/** Limits that were not confirmed for so long are worth a look; the alert LimitsStale waits longer. */
const STALE_SECONDS = 60;

export function statusView() {
  const cards = h('div', { class: 'grid' }, h('p', { class: 'note' }, 'Loading …'));
  const settings = h('div', {});
  const element = h('div', {}, h('h1', {}, 'Status'), cards,
    h('h2', { id: 'settings-title' }, 'Configuration'), settings);
  let shownSettings = null;
  return {
    title: 'Status',
    element,
    async refresh(signal) {
      const status = await read('/api/v1/status', signal);
      const replicas = status.asks_replicas ? await readAll('/api/v1/status', signal) : null;
      const focused = cards.contains(document.activeElement);
      if (!focused) fill(cards, [...cardsOf(status), replicasCard(replicas)].filter(Boolean).map(card));
      const text = JSON.stringify(status.settings);
      if (text !== shownSettings) fill(settings, settingTable(status.settings));
      shownSettings = text;
    },
  };
}

function card({ title, state, facts }) {
  return h('section', { class: 'card' }, h('div', { class: 'card-head' }, h('h2', {}, title), state && badge(...state)),
    h('dl', { class: 'facts' }, facts.filter(Boolean).map(([name, value]) => [h('dt', {}, name), h('dd', { class: 'figure' }, value)])));
}

function cardsOf(status) {
  return [processCard(status), limitsCard(status), feedCard(status), clientsCard(status), trackerCard(status), edgeConfigCard(status), loadCard(status)];
}

function processCard({ program, version, phase, started, now }) {
  const kinds = { ready: 'good', starting: 'warn', draining: 'warn' };
  return { title: program, state: [phase, kinds[phase] ?? 'calm'],
    facts: [['Version', version], ['Started', clock(started, now)], ['Runs for', duration((now - Date.parse(started)) / 1000)]] };
}

function limitsCard({ limits, distributors }) {
  const loaded = limits.version !== null;
  const state = !loaded ? ['none yet', 'bad'] : limits.stale_seconds > STALE_SECONDS ? ['old', 'bad'] : ['fresh', 'good'];
  return { title: 'Limits', state, facts: [
    ['Confirmed', loaded ? `${duration(limits.stale_seconds)} ago` : 'never'],
    ['Source', h('code', {}, limits.source)],
    limits.configmap && ['ConfigMap', h('code', {}, `${limits.configmap.namespace}/${limits.configmap.name}`)],
    ['Changes since the start', loaded ? exact(limits.version) : '–'],
    ['Tenants with overrides', exact(limits.overrides)],
    ['Problems', h('a', { href: '#/problems' }, exact(limits.problems))],
    limits.default_limits_given !== undefined && ['Default limits', limits.default_limits_given ? 'given by flags' : 'Mimir\'s built-in'],
    ['Distributors', distributors === null ? 'not counted' : exact(distributors)],
  ] };
}

function replicasCard(replicas) {
  if (!replicas) return null;
  const { answers, silent } = replicas;
  return { title: 'Replicas', state: silent.length ? [`${silent.length} silent`, 'bad'] : [`all ${answers.length} answer`, 'good'], facts: [
    ...answers.map(({ replica, body }) => [replica, `${body.phase}, limits ${body.limits.version === null ? 'missing' : `${duration(body.limits.stale_seconds)} old`}`]),
    ...silent.map((replica) => [replica, 'no answer']),
  ] };
}

function feedCard({ feed }) {
  return feed && { title: 'Feed from overrides-sync', state: feed.connected ? ['connected', 'good'] : ['not connected', 'bad'], facts: [
    ['Connected', count(feed.connects, 'time')], ['Attempts that failed', exact(feed.failed_connects)], ['Streams lost', exact(feed.streams_lost)],
    ['Updates applied', exact(feed.updates)], ['Updates rejected', exact(feed.rejected_updates)],
  ] };
}

function clientsCard({ feed_clients: clients }) {
  return clients && { title: 'Clients of the feed', state: clients.connected > 0 ? ['in use', 'good'] : ['none', 'warn'], facts: [
    ['mimir-rls connected', exact(clients.connected)], ['Snapshots sent', exact(clients.snapshots)], ['Changes sent', exact(clients.deltas)],
    ['Rejected, too many', exact(clients.rejected)],
  ] };
}

function trackerCard({ ha_tracker: tracker, ha_pairs: pairs }) {
  if (!tracker && pairs === undefined) return null;
  return { title: 'Elections of Prometheus pairs',
    state: !tracker ? ['no tracker polled', 'calm'] : tracker.fresh === false ? ['old list', 'bad'] : ['fresh list', 'good'],
    facts: [
      pairs !== undefined && ['Pairs in memory', exact(pairs)],
      tracker && ['List of Mimir\'s tracker', `${duration(tracker.stale_seconds)} old`],
      tracker && ['Clusters in the list', exact(tracker.elected)],
    ] };
}

function edgeConfigCard({ edge_config: edge }) {
  return edge && { title: 'Edge config', state: [`mode ${edge.mode}`, edge.mode === 'enforce' ? 'good' : 'warn'], facts: [
    ['Tenants without an entry', `mode ${edge.mode}`], ['Tenants with an entry', exact(edge.tenants)], ['Problems', h('a', { href: '#/problems' }, exact(edge.problems))],
  ] };
}

function loadCard({ in_flight_bytes: reserved, in_flight_bytes_limit: most, tenants_with_buckets: tenants }) {
  if (most === undefined) return null;
  const part = reserved / most;
  return { title: 'Load', state: part > 0.8 ? ['nearly full', 'bad'] : ['room', 'good'], facts: [
    ['In flight', `${bytes(reserved)} of ${bytes(most)}`], ['Tenants with buckets here', exact(tenants)],
  ] };
}

function settingTable(settings) {
  if (!settings.length) return h('p', { class: 'note' }, 'The server knows no flags: it was not started as a program.');
  const sorted = [...settings].sort((left, right) => (left.set_by === 'default') - (right.set_by === 'default'));
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-labelledby': 'settings-title' },
    h('table', { class: 'settings', 'aria-labelledby': 'settings-title' },
      h('thead', {}, h('tr', {}, ['Flag', 'Value', 'Set by'].map((title) => h('th', { scope: 'col' }, title)))),
      h('tbody', {}, sorted.map(({ flag, value, set_by: by }) => h('tr', { class: by === 'default' && 'muted' },
        h('th', { scope: 'row' }, h('code', {}, flag)), h('td', {}, value === null ? '–' : h('code', {}, value)), h('td', {}, by))))));
}
