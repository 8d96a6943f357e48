/** @typedef {import('./inspect-api.js').Sample} Sample */

/** The span of time that is shown, in seconds. */
export const WINDOW_S = 300;

/**
 * A sample on the grid of seconds.
 *
 * @typedef {{ second: number, sample: Sample }} Point
 */

/**
 * The samples of the last five minutes, one for each second. They come as a list and one by one,
 * in any order and more than once; a second without a sample stays empty.
 */
export class Series {
  /** By the second since 1970. @type {Map<number, Sample>} */
  #samples = new Map();
  #last = -Infinity;

  /** The newest second, `-Infinity` without any. */
  get last() {
    return this.#last;
  }

  get newest() {
    return this.#samples.get(this.#last) ?? null;
  }

  /** @param {Sample[]} samples */
  add(samples) {
    for (const sample of samples) this.put(sample);
  }

  /**
   * Puts a sample into its second; into this one, if it is given.
   *
   * @param {Sample} sample
   * @param {number} [second]
   * @returns {number | null} the second; `null` for a sample whose time is none
   */
  put(sample, second = Math.floor(Date.parse(sample.at) / 1000)) {
    if (Number.isNaN(second)) return null;
    this.#samples.set(second, sample);
    this.#last = Math.max(this.#last, second);
    this.#prune();
    return second;
  }

  /** @param {number} second */
  at(second) {
    return this.#samples.get(second) ?? null;
  }

  /**
   * The values of the window, oldest first.
   *
   * @param {(sample: Sample) => number} value
   * @returns {(number | null)[]} `null` for a second without a sample
   */
  values(value) {
    return Array.from({ length: WINDOW_S }, (_, i) => {
      const sample = this.#samples.get(this.#last - WINDOW_S + 1 + i);
      return sample ? value(sample) : null;
    });
  }

  #prune() {
    for (const second of this.#samples.keys()) {
      if (second <= this.#last - WINDOW_S) this.#samples.delete(second);
    }
  }

  clear() {
    this.#samples.clear();
    this.#last = -Infinity;
  }
}

/**
 * The ends of a scale and its marks: round numbers, from 0 to a bit more than the highest value.
 *
 * @param {number} highest more than 0
 * @param {number} [base] 10 for counts, 2 for bytes
 * @returns {number[]} three to five marks, ascending from 0
 */
export function marks(highest, base = 10) {
  const steps = base === 2 ? [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] : [1, 2, 5];
  const factor = base === 2 ? 1024 : 10;
  for (let power = 1; ; power *= factor) {
    for (const step of steps) {
      const size = step * power;
      if (size * 4 >= highest) return Array.from({ length: Math.max(Math.ceil(highest / size), 2) + 1 }, (_, i) => i * size);
    }
  }
}

/**
 * The ends and the middle of what lines show, for people who do not see them.
 *
 * @param {(number | null)[]} values
 */
export function extent(values) {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : { least: Math.min(...known), most: Math.max(...known) };
}
