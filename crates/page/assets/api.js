// The server's HTTP API. It is only read: explain is a POST, and charges nothing.

const KEY = 'token';
const TIMEOUT_MILLIS = 15_000;

/** Why there is no answer. `status` is 0 without any. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let token = sessionStorage.getItem(KEY);
let asked = null;

export function hasToken() {
  return token !== null;
}

export function forgetToken() {
  token = null;
  sessionStorage.removeItem(KEY);
}

/** Reads a path. Returns the JSON, with `now`: the server's clock. */
export async function read(path, signal) {
  const response = await request(path, { signal });
  const body = await response.json();
  return { ...body, now: Date.parse(response.headers.get('date')) || Date.now() };
}

/**
 * What each replica answers: `{ now, answers: [{ replica, body }], silent }`, with null for a body that is not there (404), and the addresses that gave no
 * answer. Where the server asks no others, or `ofReplicas` is null, `replica` is null. They may be asked for another path.
 */
export async function readAll(path, signal, ofReplicas = path) {
  if (ofReplicas === null || !(await asksReplicas())) {
    const body = await read(path, signal).catch((error) => {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    });
    return { now: body?.now ?? Date.now(), answers: [{ replica: null, body }], silent: [] };
  }
  const all = await read(ofReplicas.replace('/api/v1/', '/api/v1/replicas/'), signal);
  return { now: all.now, ...sorted(all.replicas) };
}

function sorted(replicas) {
  const answers = replicas.filter(({ status }) => status === 200 || status === 404).map(({ replica, status, body }) => ({ replica, body: status === 200 ? body : null }));
  const silent = replicas.filter(({ status }) => status !== 200 && status !== 404).map(({ replica }) => replica);
  if (answers.length === 0) throw new ApiError(0, 'no replica answers');
  return { answers, silent };
}

let status = null;

/** Whether the server asks all replicas for us; it says so once. */
async function asksReplicas() {
  status ??= read('/api/v1/status').catch((error) => {
    status = null;
    throw error;
  });
  return (await status).asks_replicas === true;
}

/** Asks how a push would be decided, where the tenant lives. */
export async function explain(query, headers, body) {
  const replicas = await asksReplicas();
  const path = `/api/v1/${replicas ? 'replicas/' : ''}explain${query}`;
  const answer = await (await request(path, { method: 'POST', headers, body })).json();
  if (!replicas) return answer;
  const { answers } = sorted(answer.replicas);
  return (answers.find((one) => one.body?.has_buckets) ?? answers[0]).body;
}

async function request(path, options) {
  for (let attempt = 0; ; attempt += 1) {
    const used = token;
    const response = await send(path, options, used);
    if (response.status === 401 && (response.headers.get('www-authenticate') ?? '').startsWith('Bearer')) {
      // Another request may have asked meanwhile.
      if (token === used) {
        if (used !== null) forgetToken();
        await askForToken(used !== null);
      }
      continue;
    }
    if (!response.ok) throw new ApiError(response.status, await errorOf(response));
    return response;
  }
}

async function send(path, options, used) {
  const signals = [AbortSignal.timeout(TIMEOUT_MILLIS), options.signal].filter(Boolean);
  const headers = { ...options.headers, ...(used === null ? {} : { authorization: `Bearer ${used}` }) };
  try {
    return await fetch(path, { ...options, headers, signal: AbortSignal.any(signals), cache: 'no-store', credentials: 'omit' });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, error.name === 'TimeoutError' ? `no answer within ${TIMEOUT_MILLIS / 1000} s` : 'no connection');
  }
}

async function errorOf(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text || `status ${response.status}`;
  }
}

/** Resolves when the reader has given a token. Many requests share one dialog. */
function askForToken(wrong) {
  asked ??= new Promise((resolve) => {
    const dialog = document.getElementById('token');
    const input = document.getElementById('token-value');
    document.getElementById('token-wrong').hidden = !wrong;
    input.value = '';
    const use = (event) => {
      event.preventDefault();
      const given = input.value.trim();
      // A header holds no other characters.
      if (!/^[\x21-\x7e]+$/.test(given)) {
        document.getElementById('token-wrong').hidden = false;
        return;
      }
      token = given;
      sessionStorage.setItem(KEY, given);
      input.value = '';
      asked = null;
      document.getElementById('token-form').removeEventListener('submit', use);
      dialog.removeEventListener('cancel', stay);
      dialog.close();
      resolve();
    };
    // Without a token there is nothing to see behind the dialog.
    const stay = (event) => event.preventDefault();
    document.getElementById('token-form').addEventListener('submit', use);
    dialog.addEventListener('cancel', stay);
    if (!dialog.open) dialog.showModal();
    input.focus();
  });
  return asked;
}
