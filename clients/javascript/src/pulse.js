/**
 * Signs of life of a connection.
 *
 * @module
 */

import { Deadline } from './deadline.js';

/** @import { Environment } from './environment.js' */

/**
 * @typedef {object} PulseOptions
 * @property {Pick<Environment, 'timers' | 'now' | 'page'>} environment
 * @property {number} answerMs How long the other side may be silent while an answer is due.
 * @property {() => boolean | null} ask Sends a question, and tells whether something is to come;
 *   `null`: never, as the other side does not answer.
 * @property {() => boolean} waiting Tells whether an answer is due.
 * @property {() => void} lost Called when the other side was silent for too long.
 */

/**
 * Watches that the other side of a connection lives: asks it from time to time, and tells when it
 * is silent while an answer is due. There are two timers, however many messages come.
 */
export class Pulse {
  #options;
  #quietMs = QUIET_MS;
  #heardAt = 0;
  /** The time of the next question. */
  #beat;
  /** The end of the patience with a silent line. */
  #patience;
  #patienceMs = 0;
  #askedAt = 0;
  #dueAt = Infinity;

  /** @param {PulseOptions} options */
  constructor(options) {
    this.#options = options;
    this.#beat = new Deadline(options.environment.timers);
    this.#patience = new Deadline(options.environment.timers);
  }

  /**
   * The server pings a silent line at this interval. Asked a little more often, it need not, and a
   * line that is silent for longer is dead.
   *
   * @param {unknown} ms
   */
  set intervalMs(ms) {
    if (Number(ms) > 0) this.#quietMs = Math.max(LEAST_QUIET_MS, Number(ms) * 0.8);
  }

  /** Something came. */
  heard() {
    this.#heardAt = this.#options.environment.now();
  }

  /**
   * The other side answers: from now on it is asked.
   *
   * Called when a message comes, also for each answer, and not by the timer: browsers call the timers
   * of hidden pages once a minute if they were set by timers alone.
   */
  start() {
    this.#beat.start(this.#quietMs, () => this.#ask());
  }

  /**
   * An answer is due.
   *
   * @param {number} [ms] How long the other side may be silent.
   */
  expect(ms = this.#options.answerMs) {
    const now = this.#options.environment.now();
    if (this.#patience.set && this.#dueAt <= now + ms) return;
    this.#askedAt = now;
    this.#wait(ms, ms);
  }

  stop() {
    this.#beat.clear();
    this.#patience.clear();
  }

  #ask() {
    const { environment, ask } = this.#options;
    const silentMs = environment.now() - this.#heardAt;
    if (silentMs < this.#quietMs && environment.page?.visibilityState !== 'hidden') {
      this.#beat.start(this.#quietMs - silentMs, () => this.#ask());
    } else {
      const due = ask();
      if (due) this.expect();
      else if (due !== null) this.start();
    }
  }

  /**
   * @param {number} patienceMs
   * @param {number} ms
   */
  #wait(patienceMs, ms) {
    this.#patienceMs = patienceMs;
    this.#dueAt = this.#options.environment.now() + ms;
    this.#patience.start(ms, () => this.#judge());
  }

  #judge() {
    const { environment, waiting, lost, answerMs } = this.#options;
    const heard = this.#heardAt >= this.#askedAt;
    const silentMs = environment.now() - Math.max(this.#heardAt, this.#askedAt);
    if (silentMs >= this.#patienceMs) {
      if (!heard || waiting()) return lost();
    } else if (waiting()) {
      return this.#wait(answerMs, answerMs - silentMs);
    }
    // The answer came, or others did while it was dropped on the way.
    if (!this.#beat.set) this.start();
  }
}

/** No server is asked more often. */
const LEAST_QUIET_MS = 5_000;

/** Four fifths of the server's default. */
const QUIET_MS = 20_000;
