/**
 * Requests that outlive the page.
 *
 * @module
 */
import type { RequestStore, StoredRequest } from './requests.js';
/**
 * Keeps requests in the browser (IndexedDB) until they are answered: what was written without a
 * connection, or just before the page was reloaded, goes out all the same.
 *
 * Rooms and users can share one: each request goes where it was meant to, and nowhere else.
 *
 * @example
 * const chat = new ChatClient('lobby', token, { outbox: new Outbox('chat') });
 *
 * @implements {RequestStore}
 */
export declare class Outbox implements RequestStore {
    #private;
    /**
     * @param {string} name Of the database.
     * @param {{ indexedDB?: IDBFactory }} [options] Default: the platform's own.
     */
    constructor(name: string, { indexedDB }?: {
        indexedDB?: IDBFactory;
    });
    /**
     * @returns {Promise<StoredRequest[]>} Oldest first.
     */
    load(): Promise<StoredRequest[]>;
    /**
     * Adds a request, or replaces it in its place.
     *
     * A page that goes before has lost the request, unless it was the only one on its way into an
     * open database.
     *
     * @param {StoredRequest} request
     * @returns {Promise<void>} When it is kept.
     */
    put(request: StoredRequest): Promise<void>;
    /**
     * @param {string} id
     * @returns {Promise<void>}
     */
    remove(id: string): Promise<void>;
}
