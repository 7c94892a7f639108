// The frame of the page: which view is shown, how often it is read again, the theme, and the token.

import { ApiError, forgetToken, hasToken } from './api.js';
import { fill, h, say } from './dom.js';
import { problemsView } from './problems.js';
import { statusView } from './status.js';
import { tenantView } from './tenant.js';
import { tenantsView } from './tenants.js';

const EVERY_MILLIS = 2_000;
const AFTER_ERROR_MILLIS = 5_000;
const program = document.documentElement.dataset.program;
const main = document.getElementById('main');
const trouble = document.getElementById('trouble');

/**
 * The views by the first part of the address after #/. Each is `{ title, element, refresh(signal) }`, where refresh reads and shows the data, and may have
 * `change(query)`, for another query of the same address, and `every`, the milliseconds between two reads.
 */
const VIEWS = program === 'mimir-rls'
  ? { tenants: tenantsView, tenant: tenantView, problems: problemsView, status: statusView }
  : { problems: problemsView, status: statusView };
const PAGES = program === 'mimir-rls'
  ? [['tenants', 'Tenants'], ['problems', 'Problems'], ['status', 'Status']]
  : [['problems', 'Problems'], ['status', 'Status']];
const FIRST = PAGES[0][0];

let shown = null;
let live = true;

/** What the address says: `#/tenant/NAME?key=value`. */
function place() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [name, ...rest] = path.split('/');
  return { name: name in VIEWS ? name : FIRST, rest: decoded(rest.join('/')), query: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function show() {
  const { name, rest, query } = place();
  // A view that only sorts or searches otherwise keeps its elements, and with them the focus.
  if (shown?.name === name && shown.rest === rest && shown.view.change) {
    shown.view.change(query);
    refresh();
    return;
  }
  stop();
  const view = VIEWS[name]({ rest, query, program, changeQuery, refresh });
  shown = { name, rest, view, abort: null, timer: null };
  document.title = `${view.title} · ${program}`;
  fill(main, view.element);
  navigation(name === 'tenant' ? 'tenants' : name);
  scrollTo(0, 0);
  refresh();
}

function navigation(current) {
  fill(document.getElementById('nav'), PAGES.map(([name, title]) => h('li', {},
    h('a', { href: `#/${name}`, 'aria-current': name === current && 'page' }, title))));
}

/** Changes what the address says after the ?, without a new entry of the history for each letter of a search. */
function changeQuery(changes) {
  const { name, rest, query } = place();
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === '') query.delete(key);
    else query.set(key, value);
  }
  const path = rest ? `${name}/${encodeURIComponent(rest)}` : name;
  const search = query.toString();
  history.replaceState(null, '', `#/${path}${search ? `?${search}` : ''}`);
  show();
}

function stop() {
  if (!shown) return;
  clearTimeout(shown.timer);
  shown.abort?.abort();
}

/** Reads the data of the view again, now and then from time to time. */
async function refresh() {
  const current = shown;
  clearTimeout(current.timer);
  current.abort?.abort();
  const abort = new AbortController();
  current.abort = abort;
  let wait = EVERY_MILLIS;
  try {
    await current.view.refresh(abort.signal);
    if (abort.signal.aborted) return;
    current.view.loaded = true;
    healthy();
  } catch (error) {
    if (abort.signal.aborted) return;
    wait = AFTER_ERROR_MILLIS;
    failed(error, current.view);
  }
  document.getElementById('forget').hidden = !hasToken();
  if (live && !document.hidden) current.timer = setTimeout(refresh, current.view.every ?? wait);
}

function healthy() {
  if (!trouble.hidden) say('The server answers again');
  trouble.hidden = true;
}

/** What was read stays there; a line says that it is old. */
function failed(error, view) {
  if (!(error instanceof ApiError)) console.error(error);
  const text = error instanceof ApiError ? error.message : 'the page has a fault; the browser\'s console shows it';
  trouble.hidden = false;
  trouble.textContent = view.loaded
    ? `The server gives no new data: ${text}. What is shown is what it said last.`
    : `The server gives no data: ${text}.`;
}

function setLive(on) {
  live = on;
  const button = document.getElementById('live');
  button.setAttribute('aria-pressed', String(live));
  button.querySelector('.word').textContent = live ? 'Live' : 'Paused';
  say(live ? 'Updates go on' : 'Updates are paused');
  if (live) refresh();
  else clearTimeout(shown.timer);
}

const THEMES = ['system', 'light', 'dark'];

function setTheme(theme) {
  localStorage.setItem('theme', theme);
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const button = document.getElementById('theme');
  button.textContent = { system: 'Auto', light: 'Light', dark: 'Dark' }[theme];
  button.setAttribute('aria-label', `Theme: ${button.textContent}`);
}

document.getElementById('live').addEventListener('click', () => setLive(!live));
document.getElementById('theme').addEventListener('click', () => {
  setTheme(THEMES[(THEMES.indexOf(localStorage.getItem('theme') ?? 'system') + 1) % THEMES.length]);
});
document.getElementById('forget').addEventListener('click', () => {
  forgetToken();
  location.reload();
});
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && live) refresh();
});
addEventListener('hashchange', () => {
  show();
  main.focus({ preventScroll: true });
});
setTheme(THEMES.includes(localStorage.getItem('theme')) ? localStorage.getItem('theme') : 'system');
show();
