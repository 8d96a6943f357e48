import { el, setText } from './dom.js';
import { WINDOW_S, extent, marks } from './series.js';

/**
 * @typedef {import('./series.js').Series} Series
 * @typedef {import('./inspect-api.js').Sample} Sample
 *
 * One line of a plot.
 * @typedef {{ name: string, color: 'first' | 'second' | 'third', value: (sample: Sample) => number }} Line
 *
 * @typedef {object} PlotOptions
 * @property {string} title
 * @property {Line[]} lines
 * @property {(value: number) => string} format
 * @property {2 | 10} [base] of the scale
 * @property {number} least what the scale reaches to in any case
 * @property {string} testId
 * @property {(second: number | null) => void} onCursor somebody points at a second of the window, or no more
 */

const SVG = 'http://www.w3.org/2000/svg';

/** The drawing's own coordinates; it is stretched to the width that there is. */
const WIDTH = WINDOW_S - 1;
const HEIGHT = 100;

/** Lines over the last five minutes, drawn once a second, with the values under the pointer. */
export class Plot {
  /** The figure. */
  element;
  #options;
  #svg;
  #grid;
  #scale;
  #cursor;
  /** @type {SVGPathElement[]} */
  #paths = [];
  /** @type {HTMLElement[]} */
  #readings = [];
  #spoken;
  /** @type {(number | null)[][]} */
  #values = [];
  /** The lines that are put away. @type {Set<number>} */
  #hidden = new Set();
  /** @type {Series | null} */
  #series = null;
  /** The index of the second under the pointer. @type {number | null} */
  #at = null;
  #last = 0;
  #labels = '';

  /** @param {PlotOptions} options */
  constructor(options) {
    this.#options = options;
    const { title, lines, testId } = options;
    const id = `${testId}-title`;
    this.#svg = svg('svg', { class: 'plot-lines', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    this.#cursor = svg('path', { class: 'plot-cursor' });
    for (const { color } of lines) {
      const path = svg('path', { class: 'plot-line', 'data-color': color });
      this.#paths.push(path);
      this.#svg.append(path);
    }
    this.#svg.append(this.#cursor);
    this.#grid = el('div', { class: 'plot-grid', 'aria-hidden': 'true' });
    this.#scale = el('div', { class: 'plot-scale', 'aria-hidden': 'true' });
    this.#spoken = el('p', { class: 'visually-hidden', role: 'status' });
    const legend = lines.map(({ name, color }, i) => {
      const reading = el('span', { class: 'plot-reading', 'data-testid': `${testId}-${color}` }, '–');
      this.#readings.push(reading);
      if (lines.length === 1) return el('span', { class: 'plot-key', 'data-color': color }, name, reading);
      // A low line is seen once the high one beside it is put away: the scale is that of what is shown.
      const toggle = (/** @type {Event} */ { currentTarget }) => this.#toggle(i, /** @type {HTMLElement} */ (currentTarget));
      const attributes = { type: 'button', 'aria-pressed': 'true', title: `Show or hide “${name}”` };
      return el('button', { class: 'plot-key', 'data-color': color, ...attributes, on: { click: toggle } }, name, reading);
    });
    const area = el(
      'div',
      {
        class: 'plot-area',
        role: 'img',
        tabindex: 0,
        'aria-labelledby': id,
        'data-testid': `${testId}-area`,
        on: {
          pointermove: (event) => this.#point(event),
          pointerleave: () => options.onCursor(null),
          blur: () => options.onCursor(null),
          keydown: (event) => this.#key(event),
        },
      },
      this.#grid,
      this.#svg,
    );
    this.element = el(
      'figure',
      { class: 'plot', 'data-testid': testId },
      el('figcaption', {}, el('span', { class: 'plot-title', id }, title), el('span', { class: 'plot-legend' }, ...legend)),
      el('div', { class: 'plot-frame' }, this.#scale, area),
      el('div', { class: 'plot-times', 'aria-hidden': 'true' }, ...['5 min', '4', '3', '2', '1', 'now'].map((word) => el('span', {}, word))),
      this.#spoken,
    );
  }

  /** @param {Series} series */
  show(series) {
    const { lines, base = 10, least, format } = this.#options;
    this.#series = series;
    this.#last = series.last;
    this.#values = lines.map(({ value }) => series.values(value));
    const ends = this.#values.map(extent);
    const shown = ends.filter((_, i) => !this.#hidden.has(i));
    const scale = marks(Math.max(least, ...shown.map((end) => end?.most ?? 0)), base);
    const top = scale.at(-1) ?? 1;
    this.#values.forEach((values, i) => this.#paths[i]?.setAttribute('d', this.#hidden.has(i) ? '' : line(values, top)));
    // Equal marks are the usual case: the numbers change rarely.
    const labels = scale.map(format).reverse();
    if (labels.join() !== this.#labels) {
      this.#labels = labels.join();
      this.#scale.replaceChildren(...labels.map((label) => el('span', {}, label)));
      this.#grid.replaceChildren(...labels.map(() => el('span')));
    }
    this.#read();
    // What the lines show, in words, for those who come to the plot without seeing it.
    const words = lines.map(({ name }, i) => {
      const end = ends[i];
      const now = this.#values[i]?.at(-1);
      return end && now !== undefined && now !== null
        ? `${name}: now ${format(now)}, ${format(end.least)} to ${format(end.most)}`
        : `${name}: nothing known`;
    });
    this.element.querySelector('.plot-area')?.setAttribute('aria-description', `The last five minutes. ${words.join('. ')}`);
  }

  /**
   * Shows the values of one second instead of the newest.
   *
   * @param {number | null} second since 1970
   */
  set cursor(/** @type {number | null} */ second) {
    const at = second === null ? null : second - this.#last + WIDTH;
    this.#at = at !== null && at >= 0 && at <= WIDTH ? at : null;
    this.#cursor.setAttribute('d', this.#at === null ? '' : `M${this.#at} 0V${HEIGHT}`);
    this.#read();
  }

  /**
   * @param {number} line
   * @param {HTMLElement} button
   */
  #toggle(line, button) {
    if (!this.#hidden.delete(line)) this.#hidden.add(line);
    button.setAttribute('aria-pressed', String(!this.#hidden.has(line)));
    if (this.#series) this.show(this.#series);
  }

  #read() {
    const at = this.#at ?? WIDTH;
    this.#readings.forEach((reading, i) => {
      const value = this.#values[i]?.[at];
      setText(reading, value === null || value === undefined ? '–' : this.#options.format(value));
    });
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const area = /** @type {HTMLElement} */ (event.currentTarget);
    const { left, width } = area.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - left) / width, 0), 1);
    this.#options.onCursor(this.#last - WIDTH + Math.round(share * WIDTH));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = event.shiftKey ? 10 : 1;
    const at = this.#at ?? WIDTH;
    const moves = { ArrowLeft: at - step, ArrowRight: at + step, Home: 0, End: WIDTH };
    const to = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (event.key === 'Escape') this.#options.onCursor(null);
    if (to === undefined) return;
    event.preventDefault();
    const next = Math.min(Math.max(to, 0), WIDTH);
    this.#options.onCursor(this.#last - WIDTH + next);
    const words = this.#options.lines.map(({ name }, i) => `${name} ${this.#readings[i]?.textContent}`);
    setText(this.#spoken, `${WIDTH - next} seconds ago: ${words.join(', ')}`);
  }
}

/**
 * A line through the values, interrupted where there are none. A server's seconds are not the
 * clock's, so that one of these may be skipped: that is no interruption.
 *
 * @param {(number | null)[]} values
 * @param {number} top
 */
function line(values, top) {
  let path = '';
  let missing = Infinity;
  values.forEach((value, x) => {
    if (value === null) {
      missing += 1;
      return;
    }
    const y = HEIGHT - (value / top) * HEIGHT;
    // A lone value is a dot: a line of no length with round ends.
    path += `${missing <= 1 ? 'L' : `M${x} ${y.toFixed(2)}L`}${x} ${y.toFixed(2)}`;
    missing = 0;
  });
  return path;
}

/**
 * @template {'svg' | 'path'} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} attributes
 * @returns {SVGElementTagNameMap[Tag]}
 */
function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
