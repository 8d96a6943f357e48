/**
 * Waiting for events, and never for time.
 *
 * @module
 */

/** After this long without the event that a test waits for, it fails, in milliseconds. */
export const PATIENCE_MS = 15_000;

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {string | (() => string)} what is waited for, for the failure's message
 * @returns {Promise<T>}
 */
export async function within(promise, what, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      const words = typeof what === 'function' ? what() : what;
      reject(new Error(`waited ${ms} ms in vain for ${words}`));
    }, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What happened, in order, to be taken one by one.
 *
 * @template T
 */
export class Inbox {
  /** @type {T[]} */
  #items = [];
  /** @type {((item: T) => void)[]} */
  #takers = [];

  /** @param {T} item */
  put(item) {
    const taker = this.#takers.shift();
    if (taker) taker(item);
    else this.#items.push(item);
  }

  /**
   * The oldest item that was not taken yet.
   *
   * @param {string} what is waited for
   * @returns {Promise<T>}
   */
  async take(what, ms = PATIENCE_MS) {
    if (this.#items.length > 0) return /** @type {T} */ (this.#items.shift());
    return within(new Promise((resolve) => this.#takers.push(resolve)), what, ms);
  }

  /**
   * The oldest item that satisfies `wanted`; what came before it is dropped.
   *
   * @param {(item: T) => boolean} wanted
   * @param {string} what is waited for
   * @returns {Promise<T>}
   */
  async find(wanted, what) {
    for (;;) {
      const item = await this.take(what);
      if (wanted(item)) return item;
    }
  }
}
