// One list from those of all replicas, and the replica on which a tenant lives.

import { deniedPart, tokensLeft, used } from './state.js';

const OTHER = '<other>';
const MODES = ['enforce', 'shadow', 'off'];
/** What the server sorts by, too. Rows without a value come last. */
const KEYS = {
  items: (row) => row.minute?.items,
  requests: (row) => row.minute?.requests,
  denied: (row) => deniedPart(row),
  used: (row) => used(row),
  tokens: (row) => tokensLeft(row),
  limit: (row) => (row.ingestion ? row.ingestion.limit.rate ?? Infinity : null),
  mode: (row) => MODES.indexOf(row.mode),
};

/** The pushes by which a replica is known to decide for a tenant. */
function pushes(row) {
  return row?.quarter_hour?.requests ?? -1;
}

/** The answer of the replica on which the tenant lives, by its usage. */
export function home(answers) {
  return answers.reduce((best, one) => (pushes(one.body) > pushes(best.body) ? one : best));
}

/** The lists of all replicas as one, of which a page is shown. */
export function merged(answers, { sort, order, size, page }) {
  const lists = answers.filter(({ body }) => body);
  if (lists.length === 1) return lists[0].body;
  const rows = new Map();
  for (const { replica, body } of lists) {
    for (const row of body.tenants.filter(({ tenant }) => tenant !== OTHER)) {
      if (pushes(row) > pushes(rows.get(row.tenant)) || !rows.has(row.tenant)) rows.set(row.tenant, { ...row, replica });
    }
  }
  const first = (page - 1) * size;
  const others = lists.map(({ body }) => body.tenants.find(({ tenant }) => tenant === OTHER)).filter(Boolean);
  return {
    tenants: [...[...rows.values()].sort(comparison(sort, order)).slice(first, first + size), ...(others.length ? [summed(others)] : [])],
    total: Math.max(...lists.map(({ body }) => body.total)),
    sums: sums(lists.map(({ body }) => body.sums)),
  };
}

function comparison(sort, order) {
  const direction = order === 'desc' ? -1 : 1;
  const byName = (left, right) => (left.tenant < right.tenant ? -1 : 1);
  if (sort === 'tenant') return (left, right) => direction * byName(left, right);
  return (left, right) => {
    const [own, other] = [KEYS[sort](left) ?? null, KEYS[sort](right) ?? null];
    if (own !== other) {
      if (own === null) return 1;
      if (other === null) return -1;
      return direction * (own < other ? -1 : 1);
    }
    return (right.minute?.items ?? 0) - (left.minute?.items ?? 0) || byName(left, right);
  };
}

/** Tenants are known everywhere; all else is of one replica. */
function sums(all) {
  const total = Object.fromEntries(Object.keys(all[0]).map((name) => [name, all.reduce((sum, of) => sum + of[name], 0)]));
  return { ...total, tenants: Math.max(...all.map((of) => of.tenants)) };
}

/** The rows of the tenants without usage of their own, as far as they are shown. */
function summed(others) {
  const total = (window, name) => others.reduce((sum, row) => sum + row[window][name], 0);
  return {
    ...others[0],
    minute: { ...others[0].minute, requests: total('minute', 'requests'), items_per_second: total('minute', 'items_per_second') },
    quarter_hour: { ...others[0].quarter_hour, denied: total('quarter_hour', 'denied') },
  };
}
