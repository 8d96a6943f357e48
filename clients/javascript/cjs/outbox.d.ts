/**
 * Requests that outlive the page.
 *
 * @module
 */
import { Requests } from './requests.js';
import type { RequestStore, StoredRequest } from './kept-requests.js';
import type { QuestionsOptions } from './questions.js';
import type { RequestKeeper } from './session.js';
/** @import { RequestStore, StoredRequest } from './kept-requests.js' */
/** @import { QuestionsOptions } from './questions.js' */
/** @import { RequestKeeper } from './session.js' */
/**
 * Keeps requests until they are answered: what was written without a connection, or just before the
 * page was reloaded, goes out all the same. Without a store, they wait in memory for as long as the
 * page lives.
 *
 * Rooms and users can share one: each request goes where it was meant to, and nowhere else.
 *
 * @example
 * const chat = new ChatClient('lobby', token, { outbox: new Outbox('chat') });
 *
 * @implements {RequestKeeper}
 * @implements {RequestStore}
 */
export declare class Outbox implements RequestKeeper, RequestStore {
    #private;
    /**
     * @param {string | RequestStore} [store] The name of a database in the browser (IndexedDB), or a
     *   store of your own. Default: none.
     * @param {{ indexedDB?: { open: (name: string, version?: number) => any } }} [options] Default: the platform's own.
     */
    constructor(store?: string | RequestStore, { indexedDB }?: {
        indexedDB?: {
            open: (name: string, version?: number) => any;
        };
    });
    /**
     * The requests of a client, which are kept here; for the client.
     *
     * @param {QuestionsOptions} options
     * @returns {Requests}
     */
    requests(options: QuestionsOptions): Requests;
    /**
     * @returns {Promise<StoredRequest[]>} Oldest first.
     */
    load(): Promise<StoredRequest[]>;
    /**
     * Adds a request, or replaces it in its place.
     *
     * @param {StoredRequest} request
     * @returns {Promise<unknown>} When it is kept.
     */
    put(request: StoredRequest): Promise<unknown>;
    /**
     * @param {string} id
     * @returns {Promise<unknown>}
     */
    remove(id: string): Promise<unknown>;
}
