/**
 * A moment that something waits for.
 *
 * @module
 */

/** @import { Timers } from './environment.js' */

/** Longer waits overflow the timers of browsers, which then fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * A timer that is set anew, or given up.
 */
export class Deadline {
  #timers;
  /** @type {unknown} */
  #timer = null;

  /** @param {Timers} timers */
  constructor(timers) {
    this.#timers = timers;
  }

  /** True while the timer runs. */
  get set() {
    return this.#timer !== null;
  }

  /**
   * Waits; a wait that was under way ends without a call.
   *
   * @param {number} ms At most 25 days; a longer wait ends then.
   * @param {() => void} callback
   */
  start(ms, callback) {
    this.clear();
    this.#timer = this.#timers.setTimeout(() => {
      this.#timer = null;
      callback();
    }, Math.min(ms, LONGEST_MS));
  }

  clear() {
    if (this.set) this.#timers.clearTimeout(this.#timer);
    this.#timer = null;
  }
}
