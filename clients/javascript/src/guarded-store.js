/**
 * Stores that may fail.
 *
 * @module
 */

import { Deadline } from './deadline.js';

/** @import { Timers } from './environment.js' */
/** @import { RequestStore } from './requests.js' */

/** The time that a store has for an answer, in milliseconds; at most it gets twice of that. */
const ANSWER_MS = 5_000;

/**
 * A store whose failures are told once and disturb nobody: it rejects, also when it never answers,
 * and the requests go on without it.
 *
 * @param {RequestStore} store
 * @param {{ timers: Timers, failed: (cause: unknown) => void }} options
 * @returns {RequestStore}
 */
export function guardedStore(store, { timers, failed }) {
  let told = false;
  const deadline = new Deadline(timers);
  /** The calls that began after the deadline was set. @type {Set<(cause: unknown) => void>} */
  let young = new Set();
  /** The calls that the deadline is for. @type {Set<(cause: unknown) => void>} */
  let old = new Set();

  const judge = () => {
    for (const reject of old) reject(unanswered());
    [young, old] = [new Set(), young];
    if (old.size > 0) deadline.start(ANSWER_MS, judge);
  };

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  const watch = async (work) => {
    let settle = () => {};
    try {
      return await new Promise((resolve, reject) => {
        const among = deadline.set ? young : old;
        among.add(reject);
        settle = () => [young, old].forEach((set) => set.delete(reject));
        if (!deadline.set) deadline.start(ANSWER_MS, judge);
        work().then(resolve, reject);
      });
    } catch (cause) {
      if (!told) failed(cause);
      told = true;
      throw cause;
    } finally {
      settle();
      if (young.size + old.size === 0) deadline.clear();
    }
  };
  return {
    // Everything waits for this one.
    load: () =>
      watch(
        () =>
          new Promise((resolve, reject) => {
            const limit = new Deadline(timers);
            limit.start(ANSWER_MS, () => reject(unanswered()));
            void store
              .load()
              .then(resolve, reject)
              .finally(() => limit.clear());
          }),
      ),
    put: (request) => watch(() => store.put(request)),
    remove: (id) => watch(() => store.remove(id)),
  };
}

function unanswered() {
  return new Error('the store does not answer');
}
