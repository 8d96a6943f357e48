/**
 * Requests: messages that are answered, and executed once.
 *
 * @module
 */
import { Deadline } from './deadline.js';
import { ClientError } from './errors.js';
import type { Timers } from './environment.js';
import type { WireMessage } from './message.js';
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
export type Scope = {
    place: string | undefined;
    user: string | undefined;
    /**
     * Where the token comes from, which tells users apart before they are known.
     */
    source?: unknown;
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
export type RequestOptions = {
    /**
     * How long the answer may take, waiting for a connection
     * included. Default: the client's `requestTimeoutMs`.
     */
    timeoutMs?: number;
    /**
     * Whether it goes out again on the next connection, and into the
     * outbox, if there is one. Default: true. If not, it is `unconfirmed` when the connection is
     * lost before the answer comes.
     */
    repeat?: boolean;
};
export type Pending = {
    stored: StoredRequest;
    /**
     * As it goes out.
     */
    text: string;
    resolve: (reply: WireMessage) => void;
    reject: (error: ClientError) => void;
    expiry: Deadline;
    store: RequestStore | null;
    repeat: boolean;
    /**
     * Where the token came from when the request was made.
     */
    source?: unknown;
    /**
     * Whether it is of an earlier page.
     */
    restored: boolean;
    /**
     * The connection on which it last went out.
     */
    sentOn?: number;
    /**
     * When it first went out, by the time that only rises.
     */
    sentAt?: number;
};
export type RequestsOptions = {
    send: (text: string) => boolean;
    /**
     * Tells whether the server takes so much.
     */
    fits: (text: string) => boolean;
    timers: Timers;
    /**
     * A time that only rises.
     */
    now: () => number;
    date: () => number;
    /**
     * How many may wait for their answers.
     */
    limit: number;
    timeoutMs: number;
    /**
     * How long the server remembers answers.
     */
    windowMs: number;
    store: RequestStore | null;
    /**
     *   Told each request that was in the store.
     */
    restored: (request: {
        id: string;
        message: object;
        reply: Promise<WireMessage>;
    }) => void;
    /**
     * Told the first failure of the store.
     */
    storeFailed: (cause: unknown) => void;
    /**
     * Only the server knows who this is, and is to be asked.
     */
    unidentified: () => void;
};
/** @import { Timers } from './environment.js' */
/** @import { WireMessage } from './message.js' */
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
 * The place that requests go to, and their user.
 *
 * @typedef {object} Scope
 * @property {string | undefined} place
 * @property {string | undefined} user
 * @property {unknown} [source] Where the token comes from, which tells users apart before they are known.
 */
/**
 * A place where requests outlive the page. `Outbox` is one.
 *
 * @typedef {object} RequestStore
 * @property {() => Promise<StoredRequest[]>} load Those that are there, oldest first.
 * @property {(request: StoredRequest) => Promise<unknown>} put Adds or replaces one.
 * @property {(id: string) => Promise<unknown>} remove
 */
/**
 * @typedef {object} RequestOptions
 * @property {number} [timeoutMs] How long the answer may take, waiting for a connection
 *   included. Default: the client's `requestTimeoutMs`.
 * @property {boolean} [repeat] Whether it goes out again on the next connection, and into the
 *   outbox, if there is one. Default: true. If not, it is `unconfirmed` when the connection is
 *   lost before the answer comes.
 */
/**
 * @typedef {object} Pending
 * @property {StoredRequest} stored
 * @property {string} text As it goes out.
 * @property {(reply: WireMessage) => void} resolve
 * @property {(error: ClientError) => void} reject
 * @property {Deadline} expiry
 * @property {RequestStore | null} store
 * @property {boolean} repeat
 * @property {unknown} [source] Where the token came from when the request was made.
 * @property {boolean} restored Whether it is of an earlier page.
 * @property {number} [sentOn] The connection on which it last went out.
 * @property {number} [sentAt] When it first went out, by the time that only rises.
 */
/**
 * @typedef {object} RequestsOptions
 * @property {(text: string) => boolean} send
 * @property {(text: string) => boolean} fits Tells whether the server takes so much.
 * @property {Timers} timers
 * @property {() => number} now A time that only rises.
 * @property {() => number} date
 * @property {number} limit How many may wait for their answers.
 * @property {number} timeoutMs
 * @property {number} windowMs How long the server remembers answers.
 * @property {RequestStore | null} store
 * @property {(request: { id: string, message: object, reply: Promise<WireMessage> }) => void} restored
 *   Told each request that was in the store.
 * @property {(cause: unknown) => void} storeFailed Told the first failure of the store.
 * @property {() => void} unidentified Only the server knows who this is, and is to be asked.
 */
/**
 * The requests that wait for their answers, in the order in which they were made. They go out
 * as soon as there is a connection, and again on the next one if it was lost meanwhile: the
 * server answers a repeat from memory, as long as it remembers.
 *
 * A request is for one place and of one user. It goes nowhere else, and in nobody else's name.
 */
export declare class Requests {
    #private;
    /** @param {RequestsOptions} options */
    constructor(options: RequestsOptions);
    /** @returns {Scope} Where the present attempt or connection leads. */
    get scope(): Scope;
    /** True while the server is to tell who this is, before anything goes out. */
    get held(): boolean;
    get supported(): boolean | null;
    /** True while an answer is due. */
    get waiting(): boolean;
    /** A name for a message that no other has. */
    newId(): string;
    /**
     * @param {object} message
     * @param {Scope} scope
     * @param {RequestOptions} [options]
     * @returns {Promise<WireMessage>}
     */
    add(message: object, scope: Scope, { timeoutMs, repeat }?: RequestOptions): Promise<WireMessage>;
    /**
     * An attempt to connect begins. What waits for another place or user is given up; what is in the
     * store for this one goes out before everything else.
     *
     * @param {Scope} scope `user` is absent where only the server knows.
     */
    enter(scope: Scope): void;
    /**
     * The server has told who this is, or cannot.
     *
     * @param {string} [user]
     */
    identify(user?: string): void;
    /** There is a connection: everything goes out that has no answer yet. */
    opened(): void;
    /**
     * The server has told for how long it remembers answers.
     *
     * @param {unknown} ms
     * @param {number} [wantedMs] What the application wants.
     */
    remembers(ms: unknown, wantedMs?: number): void;
    /** The limit of the server is known better: what is larger is not sent, or not again. */
    refuseTooLarge(): void;
    /** Some were dropped on the way: what has no answer goes out again, on the same connection. */
    repeat(): void;
    /** @param {unknown} id */
    has(id: unknown): boolean;
    /**
     * Takes the answer out of what the server sends.
     *
     * @param {WireMessage} message
     * @returns {boolean} Whether it is one.
     */
    answer(message: WireMessage): boolean;
    /**
     * The server has shown whether it answers by `id`. If it does not, what went out is not
     * repeated.
     *
     * @param {boolean} supported
     */
    support(supported: boolean): void;
    /**
     * Gives up on all of them. What is in the store stays there, to be read anew.
     */
    end(): void;
}
