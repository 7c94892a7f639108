// Plots over time as SVG: lines or stacked steps, a limit, the moment something began, and the values under the pointer or the arrow keys.

import { fill, h, s, say, setText } from './dom.js';
import { amount, clock, short } from './format.js';

const LEFT = 52;
const RIGHT = 12;
const TOP = 14;
const BOTTOM = 24;
const TICK_SECONDS = [10, 30, 60, 120, 300, 600, 900, 1_800, 3_600];
const TICK_WIDTH = 84;
/** A limit that is further above what was sent would flatten it, and is only named. */
const LIMIT_WITHIN = 3;

export class Plot {
  /** `stacked` series are parts of a sum; `empty` says what it means that all are 0. */
  constructor({ title, unit, stacked = false, empty }) {
    Object.assign(this, { title, unit, stacked, empty, data: null, at: null });
    this.svg = s('svg', { class: 'plot', role: 'img', tabindex: '0', height: '210' });
    this.legend = h('ul', { class: 'legend' });
    this.when = h('span', { class: 'when' });
    this.element = h('figure', {}, h('figcaption', {}, h('span', { class: 'plot-title' }, title, ' ', h('span', { class: 'unit' }, unit)), this.when), this.svg, this.legend);
    this.svg.addEventListener('pointermove', (event) => this.point(event.clientX - this.svg.getBoundingClientRect().left));
    this.svg.addEventListener('pointerleave', () => this.choose(null));
    this.svg.addEventListener('blur', () => this.choose(null));
    this.svg.addEventListener('keydown', (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  /**
   * Shows `{ from, to, times, series: [{ name, kind, values }], limit, mark }`: each value is that of the step which begins at its time, and null where
   * nothing is known; `limit` is a number or null, `mark` `{ time, text }` or null.
   */
  show(data) {
    this.data = data;
    this.draw();
  }

  draw() {
    const width = this.svg.clientWidth;
    if (!this.data || width < 80) return;
    const height = this.svg.clientHeight || 210;
    const { from, to, times, limit } = this.data;
    const sums = times.map((_, at) => this.heightAt(at));
    const most = Math.max(0, ...sums);
    const hasLimit = limit !== null && limit <= most * LIMIT_WITHIN;
    const { step, top } = scale(Math.max(most, hasLimit ? limit : 0) * 1.06);
    this.size = { width, height, from, to, top };
    this.svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.svg.setAttribute('aria-label', this.summary(sums, most));
    this.cursor = s('line', { class: 'cursor', y1: TOP, y2: height - BOTTOM, visibility: 'hidden' });
    fill(this.svg, this.grid(step, top), this.axis(), this.shapes(), hasLimit && this.limitLine(limit), this.markLine(), most === 0 && this.emptyText(), this.cursor);
    this.choose(this.at);
  }

  /** The sum of a stack, or the highest line. */
  heightAt(at) {
    const values = this.data.series.map((series) => series.values[at] ?? 0);
    return this.stacked ? values.reduce((sum, value) => sum + value, 0) : Math.max(0, ...values);
  }

  x(time) {
    const { width, from, to } = this.size;
    return LEFT + ((time - from) / (to - from)) * (width - LEFT - RIGHT);
  }

  y(value) {
    const { height, top } = this.size;
    return height - BOTTOM - (value / top) * (height - TOP - BOTTOM);
  }

  grid(step, top) {
    const lines = [];
    for (let value = 0; value <= top * 1.0001; value += step) {
      lines.push(s('line', { class: value === 0 ? 'base' : 'rule', x1: LEFT, x2: this.size.width - RIGHT, y1: this.y(value), y2: this.y(value) }),
        s('text', { class: 'tick', x: LEFT - 8, y: this.y(value) + 4, 'text-anchor': 'end' }, amount(Number(value.toPrecision(6)))));
    }
    return lines;
  }

  axis() {
    const { width, height, from, to } = this.size;
    const wanted = (to - from) / 1000 / Math.max(2, Math.floor((width - LEFT - RIGHT) / TICK_WIDTH));
    const step = 1000 * (TICK_SECONDS.find((seconds) => seconds >= wanted) ?? TICK_SECONDS.at(-1));
    const texts = [];
    for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
      const x = this.x(time);
      if (x < LEFT + 12 || x > width - RIGHT - 18) continue;
      texts.push(s('text', { class: 'tick', x, y: height - 7, 'text-anchor': 'middle' }, clock(time, time, step < 60_000)));
    }
    return texts;
  }

  shapes() {
    const { times, series, to } = this.data;
    const base = times.map(() => 0);
    return series.map(({ kind, values }) => {
      const upper = [];
      const lower = [];
      for (let at = 0; at < times.length; at += 1) {
        const value = values[at] ?? 0;
        const [begin, end] = [this.x(times[at]), this.x(times[at + 1] ?? to)];
        const sum = (this.stacked ? base[at] : 0) + value;
        upper.push(`${begin.toFixed(1)},${this.y(sum).toFixed(1)}`, `${end.toFixed(1)},${this.y(sum).toFixed(1)}`);
        lower.push(`${begin.toFixed(1)},${this.y(this.stacked ? base[at] : 0).toFixed(1)}`, `${end.toFixed(1)},${this.y(this.stacked ? base[at] : 0).toFixed(1)}`);
        if (this.stacked) base[at] = sum;
      }
      if (!upper.length) return [];
      const area = s('path', { class: `area ${kind}`, d: `M${upper.join('L')}L${lower.reverse().join('L')}Z` });
      return this.stacked ? area : [area, s('path', { class: `line ${kind}`, d: `M${upper.join('L')}` })];
    });
  }

  limitLine(limit) {
    const y = this.y(limit);
    return [s('line', { class: 'limit', x1: LEFT, x2: this.size.width - RIGHT, y1: y, y2: y }),
      s('text', { class: 'limit-text', x: LEFT + 4, y: y < TOP + 12 ? y + 13 : y - 5 }, `limit ${short(limit)}`)];
  }

  markLine() {
    const { mark, from, to } = this.data;
    if (!mark || mark.time < from || mark.time > to) return null;
    const x = this.x(mark.time);
    const onLeft = x > this.size.width * 0.6;
    return [s('line', { class: 'mark', x1: x, x2: x, y1: TOP - 4, y2: this.size.height - BOTTOM }),
      s('text', { class: 'mark-text', x: onLeft ? x - 5 : x + 5, y: TOP + 4, 'text-anchor': onLeft ? 'end' : 'start' }, mark.text)];
  }

  emptyText() {
    const { width, height } = this.size;
    return s('text', { class: 'nothing', x: (LEFT + width) / 2, y: height / 2, 'text-anchor': 'middle' }, this.empty);
  }

  summary(sums, most) {
    const { from, to, limit, mark } = this.data;
    const parts = [`${this.title} in ${this.unit}, from ${clock(from, to, false)} to ${clock(to, to, false)}`, `highest ${short(most)}`, `last ${short(sums.at(-1) ?? 0)}`];
    if (limit !== null) parts.push(`limit ${short(limit)}`);
    if (mark) parts.push(mark.text);
    return `${parts.join('; ')}. The arrow keys move through the values.`;
  }

  point(pixels) {
    const { times, from, to } = this.data ?? { times: [] };
    if (!times.length || !this.size) return;
    const time = from + ((pixels - LEFT) / (this.size.width - LEFT - RIGHT)) * (to - from);
    const after = times.findIndex((begin) => begin > time);
    this.choose(after < 0 ? times.length - 1 : Math.max(0, after - 1));
  }

  key(event) {
    const last = (this.data?.times.length ?? 0) - 1;
    const moves = { ArrowLeft: (this.at ?? last + 1) - 1, ArrowRight: (this.at ?? last - 1) + 1, Home: 0, End: last };
    if (last < 0 || !(event.key in moves)) return;
    event.preventDefault();
    this.choose(Math.min(last, Math.max(0, moves[event.key])));
    say([this.when.textContent, ...[...this.legend.children].map((item) => item.textContent)].join(', '));
  }

  /** Shows the values of one step, or the last ones. */
  choose(at) {
    if (!this.data || !this.size) return;
    const { times, series, limit, to } = this.data;
    this.at = at !== null && at < times.length ? at : null;
    const shown = this.at ?? times.length - 1;
    if (this.at === null) this.cursor.setAttribute('visibility', 'hidden');
    else {
      const x = this.x((times[shown] + (times[shown + 1] ?? to)) / 2);
      for (const [name, value] of [['x1', x], ['x2', x], ['visibility', 'visible']]) this.cursor.setAttribute(name, value);
    }
    setText(this.when, times.length ? clock(times[shown], to) : '');
    const item = (kind, name, value) => h('li', {}, h('span', { class: `key ${kind}`, 'aria-hidden': 'true' }), `${name} `, h('span', { class: 'figure' }, value));
    fill(this.legend, series.map(({ name, kind, values }) => item(kind, name, short(values[shown]))), limit !== null && item('limit', 'limit', short(limit)));
  }
}

/** Round steps up to the top. */
function scale(most) {
  if (!(most > 0)) return { step: 1, top: 1 };
  const rough = most / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * unit).find((step) => step >= rough);
  return { step, top: Math.ceil(most / step) * step };
}

/**
 * The history of a tenant in steps of so many seconds that end now. Steps lie on multiples of their length, so that they stay where they are as time
 * goes on. Intervals of ten seconds count for the step in which they begin. Returns `{ from, to, times, steps }`, each step with the sums of its counts.
 */
export function steps(history, now, seconds, length) {
  const step = length * 1000;
  const to = now;
  const from = to - seconds * 1000;
  const sums = new Map();
  let end = now;
  for (let at = history.length - 1; at >= 0; at -= 1) {
    const interval = history[at];
    const begin = end - interval.seconds * 1000;
    end = begin;
    if (begin < from - step) break;
    const start = Math.floor(begin / step) * step;
    const sum = sums.get(start) ?? {};
    for (const [name, value] of Object.entries(interval)) sum[name] = (sum[name] ?? 0) + value;
    sums.set(start, sum);
  }
  const times = [...sums.keys()].sort((left, right) => left - right).filter((time) => time >= from);
  return { from, to, times, steps: times.map((time) => sums.get(time)) };
}
