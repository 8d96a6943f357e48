/**
 * Stores that may fail.
 *
 * @module
 */

import { Deadline } from './deadline.js';

/** @import { Timers } from './environment.js' */
/** @import { RequestStore } from './kept-requests.js' */

/** The time that a store has for an answer, in milliseconds. */
const ANSWER_MS = 5_000;

/**
 * A store whose failures are told once and disturb nobody: it rejects, also when it never answers,
 * and the requests go on without it.
 *
 * @param {RequestStore} store
 * @param {{ timers: Timers, failed: (cause: unknown) => void, readable: () => void }} options
 *   `readable`: a reading that was given up has been answered after all
 * @returns {RequestStore}
 */
export function guardedStore(store, { timers, failed, readable }) {
  let told = false;
  /** @param {unknown} cause */
  const tell = (cause) => {
    if (!told) failed(cause);
    told = true;
  };
  /**
   * @template T
   * @param {() => T | Promise<T>} work
   * @returns {Promise<T>}
   */
  const watch = async (work) => {
    const deadline = new Deadline(timers);
    try {
      return await new Promise((resolve, reject) => {
        deadline.start(ANSWER_MS, () => reject(new Error('the store does not answer')));
        Promise.resolve(work()).then(resolve, reject);
      });
    } catch (cause) {
      tell(cause);
      throw cause;
    } finally {
      deadline.clear();
    }
  };
  return {
    load: async () => {
      let isOver = false;
      const loaded = await watch(async () => {
        const list = await store.load();
        if (!Array.isArray(list)) throw new TypeError('no list of requests');
        if (isOver) readable();
        return list;
      }).finally(() => (isOver = true));
      const requests = loaded.filter(isRequest);
      if (requests.length < loaded.length) tell(new TypeError('not only requests'));
      return requests;
    },
    put: (request) => watch(() => store.put(request)),
    remove: (id) => watch(() => store.remove(id)),
  };
}

/** @param {any} stored */
function isRequest(stored) {
  return typeof stored?.id === 'string' && typeof stored.message === 'object' && stored.message;
}
