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
 * The name should hold that of the user, so that nobody sends what another has written.
 *
 * @example
 * const chat = new ChatClient('lobby', token, { outbox: new Outbox(`chat of ${user.id}`) });
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
