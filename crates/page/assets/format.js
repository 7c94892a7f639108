// Numbers and times as people read them. A number keeps its width while it changes: three digits and a unit.

const UNITS = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']];
const NONE = '–';

/** A rate as three digits and a unit: 950, 7.15, 1.48 k, 12.0 M. */
export function short(number) {
  if (number === null || number === undefined || Number.isNaN(number)) return NONE;
  if (!Number.isFinite(number)) return '∞';
  if (number === 0) return '0';
  const size = Math.abs(number);
  // What rounds to 1,000 has the next unit.
  const [factor, unit] = UNITS.find(([factor]) => size >= factor * 0.9995) ?? [1, ''];
  const scaled = number / factor;
  const digits = Math.abs(scaled) >= 99.95 ? 0 : Math.abs(scaled) >= 9.995 ? 1 : 2;
  return `${scaled.toFixed(digits)}${unit && ` ${unit}`}`;
}

/** The same for what is counted, which is whole below 1,000. */
export function amount(number) {
  return Number.isInteger(number) && Math.abs(number) < 1_000 ? String(number) : short(number);
}

/** Bytes: 950 B, 1.48 kB. */
export function bytes(number) {
  const text = amount(number);
  return text.includes(' ') ? `${text}B` : `${text} B`;
}

/** All digits, for titles and explanations. */
export function exact(number) {
  if (number === null || number === undefined) return 'unlimited';
  return number.toLocaleString('en-US', { maximumFractionDigits: Math.abs(number) < 10 ? 3 : 1 });
}

/** A part from 0 on. A part that is not 0 is not shown as such, and neither one that is not whole as a whole. */
export function percent(part) {
  if (part === null || part === undefined || Number.isNaN(part)) return NONE;
  if (part === 0) return '0 %';
  if (part < 0.001) return '<0.1 %';
  if (part < 1 && part > 0.999) return '>99.9 %';
  if (part > 99.99) return '>9,999 %';
  return `${(100 * part).toFixed(part < 0.1 ? 1 : 0)} %`;
}

/** A duration of seconds: 8 s, 4 min, 1 h 12 min, 3 days. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds < 1) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
  return `${Math.round(minutes / 1440)} days`;
}

/** The time of day in the reader's time zone; with the date where it is another day. */
export function clock(time, now = Date.now(), seconds = true) {
  const date = new Date(time);
  const pad = (number) => String(number).padStart(2, '0');
  const day = date.toDateString() === new Date(now).toDateString() ? '' : `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} `;
  return `${day}${pad(date.getHours())}:${pad(date.getMinutes())}${seconds ? `:${pad(date.getSeconds())}` : ''}`;
}

/** How many, in words that agree. */
export function count(number, one, many = `${one}s`) {
  return `${exact(number)} ${number === 1 ? one : many}`;
}

/** The names of reasons as sentences use them. */
const REASONS = {
  request_rate: 'request rate', ingestion_rate: 'ingestion rate', ingestion_burst: 'ingestion burst', other: 'another reason',
  within_limits: 'within all limits', edge_max_body_bytes: 'size of the body', edge_max_series_per_request: 'number of series',
};

export function reason(name) {
  return REASONS[name] ?? name.replaceAll('_', ' ');
}
