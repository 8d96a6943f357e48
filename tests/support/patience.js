/**
 * Waiting for events, and never for time.
 *
 * @module
 */

import { setTimeout as pause } from 'node:timers/promises';

/** The time between two looks at what tells nobody that it has changed, in milliseconds. */
const LOOK_MS = 10;

/**
 * After this long without the event that a test waits for, it fails, in milliseconds. No test is about how
 * long something takes that must happen some time, and a busy machine is nobody's fault.
 */
export const PATIENCE_MS = 60_000;

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
 * Waits until something is so that tells nobody, by looking again and again.
 *
 * @param {() => unknown} isSo
 * @param {string | (() => string)} what is waited for, for the failure's message
 */
export async function eventually(isSo, what) {
  let isOver = false;
  const look = async () => {
    while (!isOver && !(await isSo())) await pause(LOOK_MS);
  };
  await within(look(), what).finally(() => (isOver = true));
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
