/**
 * Stores that may fail.
 *
 * @module
 */
import type { Timers } from './environment.js';
import type { RequestStore } from './kept-requests.js';
/**
 * A store whose failures are told once and disturb nobody: it rejects, also when it never answers,
 * and the requests go on without it.
 *
 * @param {RequestStore} store
 * @param {{ timers: Timers, failed: (cause: unknown) => void, readable: () => void }} options
 *   `readable`: a reading that was given up has been answered after all
 * @returns {RequestStore}
 */
export declare function guardedStore(store: RequestStore, { timers, failed, readable }: {
    timers: Timers;
    failed: (cause: unknown) => void;
    readable: () => void;
}): RequestStore;
