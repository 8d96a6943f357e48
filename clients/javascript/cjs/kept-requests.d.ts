/**
 * Requests that are kept in a store.
 *
 * @module
 */
import { Requests } from './requests.js';
import type { Pending, QuestionsOptions } from './questions.js';
export type StoredRequest = {
    id: string;
    message: object;
    /**
     * The address that it is for: server, endpoint and room.
     */
    place?: string;
    /**
     * The user that it is of, as JSON of the id, if that is known.
     */
    user?: string;
    /**
     * When it first went out, in milliseconds since 1970.
     */
    sentAt?: number;
};
export type RequestStore = {
    /**
     * Those that are there, oldest first.
     */
    load: () => Promise<StoredRequest[]>;
    /**
     * Adds or replaces one.
     */
    put: (request: StoredRequest) => Promise<unknown>;
    remove: (id: string) => Promise<unknown>;
};
/** @import { WireMessage } from './message.js' */
/** @import { Pending, QuestionsOptions, Scope } from './questions.js' */
/**
 * A request as it is kept, also across a reload of the page.
 *
 * @typedef {object} StoredRequest
 * @property {string} id
 * @property {object} message
 * @property {string} [place] The address that it is for: server, endpoint and room.
 * @property {string} [user] The user that it is of, as JSON of the id, if that is known.
 * @property {number} [sentAt] When it first went out, in milliseconds since 1970.
 */
/**
 * A place where requests outlive the page.
 *
 * @typedef {object} RequestStore
 * @property {() => Promise<StoredRequest[]>} load Those that are there, oldest first.
 * @property {(request: StoredRequest) => Promise<unknown>} put Adds or replaces one.
 * @property {(id: string) => Promise<unknown>} remove
 */
/**
 * Requests that outlive the page in a store. What is there for the present place and user goes out
 * before everything else.
 */
export declare class KeptRequests extends Requests {
    #private;
    /**
     * @param {RequestStore} store
     * @param {QuestionsOptions} options
     */
    constructor(store: RequestStore, options: QuestionsOptions);
    /**
     * @override
     * @protected
     * @param {Pending} pending
     */
    protected keep({ id, text, place, user, sentAt, repeat }: Pending): void;
    /**
     * @override
     * @protected
     * @param {any} id
     */
    protected settle(id: any): Pending | null;
    /**
     * @override
     * @param {boolean} isEnd
     */
    released(isEnd: boolean): void;
    /**
     * Reads the store, if it was not read yet for this place and user. One that could not be read is
     * tried again when it answers after all, and with the next attempt to connect.
     *
     * @override
     * @protected
     */
    protected entered(): void;
}
