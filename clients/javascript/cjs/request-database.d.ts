/**
 * Requests in IndexedDB.
 *
 * @module
 */
import type { RequestStore, StoredRequest } from './kept-requests.js';
/**
 * A database of the browser that keeps requests.
 *
 * @implements {RequestStore}
 */
export declare class RequestDatabase implements RequestStore {
    #private;
    /**
     * @param {string} name
     * @param {{ open: (name: string, version?: number) => any }} [indexedDB]
     */
    constructor(name: string, indexedDB?: {
        open: (name: string, version?: number) => any;
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
