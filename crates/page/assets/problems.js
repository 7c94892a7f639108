// What is wrong in the documents: where, what it does, and how to mend it.

import { read } from './api.js';
import { badge, fill, h, notice, say, setText } from './dom.js';
import { count } from './format.js';

const ROWS = 100;
const EVERY_MILLIS = 10_000;
const KINDS = { rejected: 'bad', shadowed: 'bad', kept: 'warn', ignored: 'calm' };
const EFFECTS = {
  rejected: 'The whole document is rejected, as Mimir does. The last good limits stay.',
  shadowed: 'No limits of the tenant were ever good: nothing is refused, denials are only counted.',
  kept: 'The last good limits stay in force.',
  ignored: 'This line has no effect. All others have.',
};
const SOURCES = { default_limits: 'default limits', limits: 'limits', edge_config: 'edge config' };

export function problemsView({ query, changeQuery, program }) {
  let after = start(query);
  let known = null;
  const list = h('div', {});
  const range = h('p', { class: 'range' }, 'Loading …');
  const before = h('button', { type: 'button', onclick: () => changeQuery({ after: after > ROWS ? after - ROWS : null }) }, 'Previous');
  const next = h('button', { type: 'button', onclick: () => changeQuery({ after: after + ROWS }) }, 'Next');
  const pager = h('nav', { class: 'pager', 'aria-label': 'Pages of the problems' }, before, next);
  const element = h('div', {}, h('h1', {}, 'Problems in the documents'), range, list, pager);

  function show(answer) {
    const text = JSON.stringify(answer.problems);
    pager.hidden = after === 0 && answer.next === null;
    before.disabled = after === 0;
    next.disabled = answer.next === null;
    if (text === known) return;
    const more = answer.next === null ? '' : ' and more';
    setText(range, answer.problems.length ? `${count(answer.problems.length, 'problem')}${more}${after ? `, from number ${after + 1}` : ''}` : '');
    if (known !== null) say(range.textContent || 'No problem is left');
    known = text;
    fill(list, answer.problems.length ? answer.problems.map((problem) => item(problem, program))
      : notice('No problem', 'All documents are read as they are written.'));
  }

  return {
    title: 'Problems',
    element,
    every: EVERY_MILLIS,
    change(changed) { after = start(changed); },
    async refresh(signal) { show(await read(`/api/v1/problems?limit=${ROWS}&after=${after}`, signal)); },
  };
}

function start(query) {
  return Math.max(0, Math.floor(Number(query.get('after'))) || 0);
}

function item(problem, program) {
  const { severity, code, kind, document, line, tenant, field, message, mimir, source } = problem;
  const about = tenant && (program === 'mimir-rls'
    ? h('a', { class: 'about', href: `#/tenant/${encodeURIComponent(tenant)}`, title: tenant }, tenant) : h('span', { class: 'about', title: tenant }, tenant));
  return h('article', { class: `card problem ${KINDS[severity] ?? ''}` },
    h('div', { class: 'problem-head' },
      badge(severity, KINDS[severity] ?? 'calm'),
      h('code', { class: 'where' }, line ? `${document}:${line}` : document),
      about && h('span', {}, 'tenant ', about), field && h('span', {}, 'field ', h('code', {}, field)),
      h('span', { class: 'code' }, `${code} ${kind} · ${SOURCES[source] ?? source}`)),
    h('p', { class: 'message-text' }, message),
    h('p', { class: 'note' }, EFFECTS[severity]),
    mimir && h('details', {}, h('summary', {}, 'What Mimir says'), h('pre', {}, mimir)));
}
