// All tenants, in the order and on the page that the server is asked for: with 10,000 of them, a browser holds one page.

import { readAll } from './api.js';
import { badge, bar, fill, h, notice, say, setText } from './dom.js';
import { clock, count, duration, exact, percent, reason, short } from './format.js';
import { merged } from './replicas.js';
import { deniedPart, kindOfUse, mainReason, stateOf, tokensLeft, used } from './state.js';

/** Title, what the server sorts by, whether it is a number, what it says on a phone, and an explanation. */
const COLUMNS = [
  { title: 'Tenant', sort: 'tenant', first: 'asc' },
  { title: 'State', label: 'State' },
  { title: 'Refused', unit: '15 min', sort: 'denied', first: 'desc', number: true, help: 'The part of its pushes that was denied in the last 15 minutes, also where a mode only counts denials' },
  { title: 'Rate', unit: 'items/s', sort: 'items', first: 'desc', number: true, help: 'Samples, histograms, exemplars and metadata a second, in the last minute' },
  { title: 'Limit', unit: 'items/s', sort: 'limit', first: 'desc', number: true, help: 'The ingestion rate in force' },
  { title: 'Used', unit: 'of limit', sort: 'used', first: 'desc', number: true, help: 'The part of the nearest limit, of items or of pushes, that the last minute used' },
  { title: 'Tokens left', sort: 'tokens', first: 'asc', number: true, help: 'How full the emptier bucket is: at 0 % the next push is refused' },
  { title: 'Mode', sort: 'mode', first: 'asc' },
];
const SIZES = [25, 50, 100, 250];
const TYPING_MILLIS = 200;
const OTHER = '<other>';
/** The most rows that a server gives at once. */
const MOST_ROWS = 1_000;

export function tenantsView({ query, changeQuery }) {
  let asked = settings(query);
  let shownFor = null;
  let refused = null;
  const rows = new Map();
  const tiles = new Tiles();
  const body = h('tbody', { role: 'rowgroup' });
  const table = h('table', { class: 'tenants cards', role: 'table', 'aria-labelledby': 'tenants-title' },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, COLUMNS.map(heading))), body);
  const range = h('p', { class: 'range' }, 'Loading …');
  const held = h('p', { class: 'held', hidden: true }, 'The order is held while you point at a row');
  const others = h('p', { class: 'note' });
  const replicas = h('p', { class: 'note', hidden: true });
  const nothing = h('div', { hidden: true });
  const before = h('button', { type: 'button', onclick: () => changeQuery({ page: page(asked.page - 1) }) }, 'Previous');
  const after = h('button', { type: 'button', onclick: () => changeQuery({ page: page(asked.page + 1) }) }, 'Next');
  const search = h('input', { id: 'search', type: 'search', autocomplete: 'off', spellcheck: 'false', placeholder: 'Part of a name', value: asked.search });
  let typing = null;
  search.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(() => changeQuery({ search: search.value.trim(), page: null }), TYPING_MILLIS);
  });
  const size = h('select', { id: 'size', onchange: () => changeQuery({ size: size.value, page: null }) },
    SIZES.map((number) => h('option', { value: number }, String(number))));
  const sorted = h('select', { id: 'sorted', onchange: () => sortBy(COLUMNS.find((column) => column.sort === sorted.value)) },
    COLUMNS.filter((column) => column.sort).map((column) => h('option', { value: column.sort }, column.title)));

  const element = h('div', {},
    h('h1', { id: 'tenants-title' }, 'Tenants'),
    tiles.element,
    h('div', { class: 'filters', role: 'search' },
      h('div', { class: 'field grow' }, h('label', { for: 'search' }, 'Search'), search),
      h('div', { class: 'field phone' }, h('label', { for: 'sorted' }, 'Sort by'), sorted),
      h('div', { class: 'field' }, h('label', { for: 'size' }, 'Rows'), size),
      range),
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table of tenants' }, table),
    nothing,
    h('nav', { class: 'pager', 'aria-label': 'Pages of the table' }, before, after, held),
    others, replicas);

  function heading(column) {
    const texts = [column.title, column.unit && h('span', { class: 'unit' }, ` ${column.unit}`)];
    const content = column.sort
      ? h('button', { type: 'button', class: 'sort', title: column.help, onclick: () => sortBy(column) }, h('span', {}, texts), h('span', { class: 'arrow', 'aria-hidden': 'true' }))
      : texts;
    column.cell = h('th', { scope: 'col', role: 'columnheader', class: column.number && 'number' }, content);
    return column.cell;
  }

  function sortBy(column) {
    const turned = asked.order === 'asc' ? 'desc' : 'asc';
    changeQuery({ sort: column.sort, order: asked.sort === column.sort ? turned : column.first, page: null });
  }

  function showSettings() {
    for (const column of COLUMNS.filter((it) => it.sort)) {
      const isSorted = column.sort === asked.sort;
      if (isSorted) column.cell.setAttribute('aria-sort', asked.order === 'asc' ? 'ascending' : 'descending');
      else column.cell.removeAttribute('aria-sort');
    }
    size.value = String(asked.size);
    sorted.value = asked.sort;
    if (document.activeElement !== search) search.value = asked.search;
  }

  function show(answer) {
    const list = answer.tenants.filter((row) => row.tenant !== OTHER);
    const key = JSON.stringify(asked);
    // Under the pointer or the focus, no row moves away.
    const pointed = matchMedia('(hover: hover)').matches && body.matches(':hover');
    const isHeld = key === shownFor && (pointed || body.contains(document.activeElement));
    const order = list.map((row) => {
      const known = rows.get(row.tenant);
      if (known) known.update(row, answer.now);
      if (known || isHeld) return known?.element;
      const made = new Row(row, answer.now);
      rows.set(row.tenant, made);
      return made.element;
    });
    held.hidden = !isHeld;
    if (!isHeld) {
      const names = new Set(list.map((row) => row.tenant));
      for (const name of [...rows.keys()].filter((name) => !names.has(name))) rows.delete(name);
      const children = [...body.children];
      if (order.length !== children.length || order.some((row, at) => row !== children[at])) fill(body, order);
    }
    const first = (asked.page - 1) * asked.size;
    setText(range, answer.total ? `${exact(first + 1)}–${exact(first + list.length)} of ${count(answer.total, 'tenant')}` : 'No tenant');
    if (key !== shownFor) say(range.textContent);
    shownFor = key;
    before.disabled = asked.page <= 1;
    after.disabled = first + list.length >= answer.total;
    table.hidden = list.length === 0;
    nothing.hidden = list.length > 0;
    if (!nothing.hidden) fill(nothing, emptiness(answer));
    showOthers(answer.tenants.find((row) => row.tenant === OTHER));
    tiles.show(answer.sums);
    if (refused !== null && refused !== answer.sums.refused) say(`${count(answer.sums.refused, 'tenant')} refused now`);
    refused = answer.sums.refused;
  }

  function emptiness(answer) {
    if (asked.search) {
      return notice(`No tenant has “${asked.search}” in its name`, null,
        h('button', { type: 'button', onclick: () => { search.value = ''; changeQuery({ search: null, page: null }); } }, 'Show all tenants'));
    }
    if (answer.total > 0) {
      return notice('There is no such page any more', null, h('button', { type: 'button', onclick: () => changeQuery({ page: null }) }, 'First page'));
    }
    return notice('No tenant is known yet', 'A tenant is listed once it has an override, an entry in the edge config, or has pushed.');
  }

  function showReplicas(answers, away) {
    replicas.hidden = answers.length + away.length < 2;
    setText(replicas, `Of ${count(answers.length + away.length, 'replica')}.${away.length ? ` No answer from ${away.join(', ')}: its tenants are missing.` : ''}`);
  }

  function showOthers(other) {
    const sent = other?.minute?.requests > 0;
    others.hidden = !sent;
    if (sent) {
      setText(others, `Tenants without usage of their own send ${short(other.minute.items_per_second)} items/s together; ${exact(other.quarter_hour.denied)} of their pushes were denied in the last 15 minutes. The ones that send most get a row in time.`);
    }
  }

  showSettings();
  return {
    title: 'Tenants',
    element,
    change(changed) {
      asked = settings(changed);
      showSettings();
    },
    async refresh(signal) {
      const { sort, order, search: part, size: limit, page: number } = asked;
      const query = (rows, offset) => new URLSearchParams({ all: 'true', sort, order, search: part, limit: rows, offset });
      const last = number * limit;
      // The rows of a page may be anywhere in the lists of several replicas, up to the most that they give at once.
      const own = last - limit;
      const { now, answers, silent: away } = await readAll(`/api/v1/usage?${query(limit, own)}`, signal, last <= MOST_ROWS ? `/api/v1/usage?${query(last, 0)}` : null);
      showReplicas(answers, away);
      show({ ...merged(answers, asked), now });
    },
  };
}

function page(number) {
  return number > 1 ? String(number) : null;
}

/** The settings in an address, each with its default. */
function settings(query) {
  const column = COLUMNS.find((it) => it.sort === query.get('sort')) ?? COLUMNS.find((it) => it.sort === 'denied');
  const order = ['asc', 'desc'].includes(query.get('order')) ? query.get('order') : column.first;
  const size = SIZES.includes(Number(query.get('size'))) ? Number(query.get('size')) : 50;
  const page = Math.max(1, Math.floor(Number(query.get('page'))) || 1);
  return { sort: column.sort, order, size, page, search: query.get('search') ?? '' };
}

/** The row of one tenant, whose elements stay while their texts change. */
class Row {
  constructor(row, now) {
    this.link = h('a', { href: `#/tenant/${encodeURIComponent(row.tenant)}`, title: row.tenant }, row.tenant);
    this.cells = COLUMNS.map((column, at) => h(at === 0 ? 'th' : 'td', {
      role: at === 0 ? 'rowheader' : 'cell', scope: at === 0 && 'row', class: column.number && 'number', 'data-label': column.title,
    }));
    this.cells[0].append(this.link);
    this.element = h('tr', { role: 'row', onclick: (event) => this.open(event) }, this.cells);
    this.update(row, now);
  }

  update(row, now) {
    const [, state, denied, rate, limit, use, tokens, mode] = this.cells;
    const { word, kind, refusing } = stateOf(row);
    const details = [row.denied_since && `since ${clock(row.denied_since, now, false)}`, mainReason(row) && reason(mainReason(row))].filter(Boolean).join(' · ');
    const title = row.denied_since ? `${word} for ${duration((now - Date.parse(row.denied_since)) / 1000)}` : word;
    this.set(state, `${word} ${details}`, () => [badge(word, kind), details && h('span', { class: 'detail', title }, details)]);
    this.element.className = refusing ? kind : '';
    this.number(denied, percent(deniedPart(row)), row.quarter_hour && `${exact(row.quarter_hour.denied)} of ${count(row.quarter_hour.requests, 'push', 'pushes')}`);
    this.number(rate, short(row.minute?.items_per_second), row.minute && `${exact(row.minute.items_per_second)} items/s, ${exact(row.minute.requests_per_second)} pushes/s`);
    if (row.replica) mode.title = `Decided by ${row.replica}`;
    const rateLimit = row.ingestion?.limit.rate;
    this.number(limit, row.ingestion ? short(rateLimit ?? Infinity) : '–', row.ingestion && `${exact(rateLimit)} items/s, burst ${exact(row.ingestion.limit.burst)}`);
    const part = used(row);
    this.set(use, percent(part), () => [part !== null && bar(part, kindOfUse(part)), h('span', { class: 'figure' }, percent(part))]);
    const left = tokensLeft(row);
    this.number(tokens, percent(left), row.ingestion?.tokens != null && `${exact(row.ingestion.tokens)} of ${exact(row.ingestion.capacity)} items`);
    setText(mode, row.mode);
  }

  number(cell, text, title) {
    setText(cell, text);
    if (title) cell.title = title;
  }

  set(cell, key, make) {
    if (cell.dataset.key === key) return;
    cell.dataset.key = key;
    fill(cell, make());
  }

  /** A click anywhere in the row opens the tenant, unless it selects a text. */
  open(event) {
    if (event.target.closest('a') || getSelection().toString()) return;
    this.link.click();
  }
}

/** The sums above the table. */
class Tiles {
  constructor() {
    const tile = (title, help) => {
      const number = h('dd', {}, '–');
      return { element: h('div', { class: 'tile', title: help }, h('dt', {}, title), number), number };
    };
    this.tiles = {
      refused: tile('Refused now', 'Tenants that got a 429 in the last minute'),
      would: tile('Would be refused', 'Tenants in mode shadow or off that would have got a denial in the last minute'),
      near: tile('Near a limit', 'Tenants that used at least 80 % of a limit in the last minute, and got no denial'),
      items: tile('Items/s', 'All tenants of this replica, in the last minute'),
      requests: tile('Pushes/s', 'All tenants of this replica, in the last minute'),
      tenants: tile('Tenants', 'All that have an override, an entry in the edge config, or have pushed'),
    };
    this.element = h('dl', { class: 'tiles' }, Object.values(this.tiles).map((it) => it.element));
  }

  show(sums) {
    const { refused, would, near, items, requests, tenants } = this.tiles;
    for (const [tile, number, kind] of [[refused, sums.refused, 'bad'], [would, sums.would_be_refused, 'warn'], [near, sums.near_limit, 'warn']]) {
      setText(tile.number, exact(number));
      tile.element.className = `tile ${number > 0 ? kind : ''}`;
    }
    setText(items.number, short(sums.items_per_second));
    setText(requests.number, short(sums.requests_per_second));
    setText(tenants.number, exact(sums.tenants));
  }
}
