// How a push would be decided now: a number of samples, or the push itself as a client sends it.

import { ApiError, explain } from './api.js';
import { badge, fill, h, say } from './dom.js';
import { count, duration, exact, reason } from './format.js';

const TYPES = {
  '1.0': 'application/x-protobuf',
  '2.0': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
};
const BASE64 = /^[A-Za-z0-9+/\s]+={0,2}\s*$/;

export function explainForm(tenant) {
  const result = h('div', { class: 'result', 'aria-live': 'polite' });
  const items = h('input', { id: 'items', type: 'number', min: '0', max: '1000000000', value: '1', inputmode: 'numeric' });
  const version = h('select', { id: 'version' }, Object.keys(TYPES).map((name) => h('option', { value: name }, name)));
  const file = h('input', { id: 'push', type: 'file' });
  const drop = h('div', { class: 'drop', tabindex: '0', role: 'group', 'aria-label': 'Drop or paste a push here' },
    h('p', {}, 'Or the push itself, compressed with snappy, as a client sends it: ', h('label', { for: 'push', class: 'link' }, 'choose a file'), ', drop one here, or paste it as base64.'),
    file,
    h('div', { class: 'field' }, h('label', { for: 'version' }, 'Remote write'), version));

  const form = h('form', { class: 'explain' },
    h('div', { class: 'field' }, h('label', { for: 'items' }, 'A push of so many items'), items),
    h('button', { type: 'submit', class: 'primary' }, 'What would happen?'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    ask(`?items=${Math.max(0, Math.floor(Number(items.value)) || 0)}`, null, `A push of ${count(Number(items.value), 'item')}`);
  });
  file.addEventListener('change', () => take(file.files[0]));
  drop.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  drop.addEventListener('dragleave', () => drop.classList.remove('over'));
  drop.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    take(event.dataTransfer.files[0]);
  });
  drop.addEventListener('paste', (event) => {
    const pasted = event.clipboardData.files[0];
    if (pasted) take(pasted);
    else paste(event.clipboardData.getData('text'));
    event.preventDefault();
  });

  async function take(chosen) {
    if (chosen) await ask('', await chosen.arrayBuffer(), chosen.name);
  }

  function paste(text) {
    if (!BASE64.test(text)) return tell('That is no base64. A push is binary: base64 -w0 FILE prints it as text.');
    try {
      return ask('', Uint8Array.from(atob(text.replaceAll(/\s/g, '')), (letter) => letter.charCodeAt(0)), 'The pasted push');
    } catch {
      return tell('That base64 is not whole.');
    }
  }

  async function ask(query, body, what) {
    const headers = { 'x-scope-orgid': tenant };
    if (body) Object.assign(headers, { 'content-type': TYPES[version.value], 'content-encoding': 'snappy' });
    if (body && version.value === '2.0') headers['x-prometheus-remote-write-version'] = '2.0.0';
    try {
      fill(result, verdict(await explain(query, headers, body), what));
    } catch (error) {
      tell(error instanceof ApiError ? `No answer: ${error.message}` : `The push cannot be read: ${error.message}`);
    }
  }

  function tell(text) {
    fill(result, h('p', { class: 'wrong' }, text));
    say(text);
  }

  return h('div', {}, form, drop, result);
}

const WORDS = {
  allow: ['Passes', 'passes', 'good'], deny: ['Refused', 'is refused', 'bad'], would_deny: ['Would be refused', 'passes, and would be refused in mode enforce', 'warn'],
};

function verdict(answer, what) {
  const [label, words, kind] = WORDS[answer.decision] ?? [answer.decision, answer.decision, 'calm'];
  const wait = answer.decision === 'allow' ? null : answer.passes_in_seconds === null
    ? 'Waiting does not help: no wait lets this push through.'
    : `It passes in ${duration(answer.passes_in_seconds)} if nothing else is sent.`;
  const { items, series, samples, histograms, exemplars, metadata } = answer.counts;
  const facts = [
    ['Decided by', answer.limit ?? reason(answer.reason)],
    ['Answer', `${answer.status}${answer.message ? `: ${answer.message}` : ''}`],
    ['Counts', `${count(items, 'item')}: ${count(samples, 'sample')}, ${count(histograms, 'histogram')}, ${count(exemplars, 'exemplar')}, ${exact(metadata)} metadata, in ${exact(series)} series`],
    bucketFact('Tokens for items', answer.ingestion),
    bucketFact('Tokens for pushes', answer.request),
    answer.unmetered && ['Not metered', reason(answer.unmetered)],
  ];
  return [
    h('p', { class: 'verdict' }, badge(label, kind), ` ${what} ${words}. `, wait),
    !answer.has_buckets && h('p', { class: 'note' }, 'This replica has no buckets of the tenant, and takes them to be full. If another replica decides its pushes, ask there.'),
    h('dl', { class: 'facts' }, facts.filter(Boolean).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])),
  ];
}

function bucketFact(name, bucket) {
  if (!bucket || bucket.capacity === null) return null;
  return [name, `${exact(Math.floor(bucket.tokens))} of ${exact(bucket.capacity)} are left; the push takes ${exact(bucket.cost)}; ${exact(bucket.limit.rate)} come back each second`];
}
