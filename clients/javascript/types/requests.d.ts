/**
 * Requests: messages that are answered, and executed once.
 *
 * @module
 */
import { Deadline } from './deadline.js';
import { ClientError } from './errors.js';
import type { Timers } from './environment.js';
import type { WireMessage } from './message.js';
export type Scope = {
    /**
     * The address: server, endpoint and room.
     */
    place?: string | undefined;
    /**
     * JSON of the user's id, if that is known.
     */
    user?: string | undefined;
    /**
     * Where the token comes from, which tells users apart before they are known.
     */
    source?: unknown;
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
export type OwnPending = {
    id: string;
    /**
     * As it goes out.
     */
    text: string;
    resolve: (reply: WireMessage) => void;
    reject: (error: ClientError) => void;
    expiry: Deadline;
    repeat: boolean;
    /**
     * Whether it is of an earlier page.
     */
    restored?: boolean;
    /**
     * The connection on which it last went out.
     */
    sentOn?: number;
    /**
     * When it first went out, in milliseconds since 1970.
     */
    sentAt?: number;
    /**
     * When it first went out, by the time that only rises.
     */
    since?: number;
};
export type Pending = OwnPending & Scope;
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
     *   Told each request of an earlier page.
     */
    restored: (request: {
        id: string;
        message: object;
        reply: Promise<WireMessage>;
    }) => void;
    /**
     * Told the first failure of the store.
     */
    failed: (cause: unknown) => void;
    /**
     * Only the server knows who this is, and is to be asked.
     */
    unidentified: () => void;
};
/** @import { Timers } from './environment.js' */
/** @import { WireMessage } from './message.js' */
/**
 * The place that requests go to, and their user.
 *
 * @typedef {object} Scope
 * @property {string | undefined} [place] The address: server, endpoint and room.
 * @property {string | undefined} [user] JSON of the user's id, if that is known.
 * @property {unknown} [source] Where the token comes from, which tells users apart before they are known.
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
 * @typedef {object} OwnPending
 * @property {string} id
 * @property {string} text As it goes out.
 * @property {(reply: WireMessage) => void} resolve
 * @property {(error: ClientError) => void} reject
 * @property {Deadline} expiry
 * @property {boolean} repeat
 * @property {boolean} [restored] Whether it is of an earlier page.
 * @property {number} [sentOn] The connection on which it last went out.
 * @property {number} [sentAt] When it first went out, in milliseconds since 1970.
 * @property {number} [since] When it first went out, by the time that only rises.
 */
/** @typedef {OwnPending & Scope} Pending */
/**
 * @typedef {object} RequestsOptions
 * @property {(text: string) => boolean} send
 * @property {(text: string) => boolean} fits Tells whether the server takes so much.
 * @property {Timers} timers
 * @property {() => number} now A time that only rises.
 * @property {() => number} date
 * @property {number} limit How many may wait for their answers.
 * @property {number} timeoutMs
 * @property {(request: { id: string, message: object, reply: Promise<WireMessage> }) => void} restored
 *   Told each request of an earlier page.
 * @property {(cause: unknown) => void} failed Told the first failure of the store.
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
    /**
     * True if the server answers by `id`; `null` until it has shown either.
     *
     * @type {boolean | null}
     */
    supported: boolean | null;
    /** The scope of the present attempt or connection. @type {Scope} */
    scope: Scope;
    /** How long after it first went out a request may be repeated, in milliseconds. */
    windowMs: number;
    /** True while nothing may go out: what is being read is older. */
    reading: boolean;
    /**
     * @protected
     * @type {Map<string, Pending>}
     */
    protected pending: Map<string, Pending>;
    /**
     * @protected
     * @readonly
     */
    protected readonly options: RequestsOptions;
    /** @param {RequestsOptions} options */
    constructor(options: RequestsOptions);
    /** True while the server is to tell who this is, before anything goes out. */
    get held(): boolean;
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
     * Keeps a request for the next page, or keeps it up to date.
     *
     * @protected
     * @param {Pending} _pending
     */
    protected keep(_pending: Pending): void;
    /**
     * Forgets a request that is over.
     *
     * @protected
     * @param {Pending} _pending
     */
    protected forget(_pending: Pending): void;
    /**
     * The present scope is known better.
     *
     * @protected
     */
    protected entered(): void;
    /**
     * An attempt to connect begins. What waits for another place or user is given up.
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
    /**
     * Tells whether a request is for another place or of another user, as far as they are known.
     *
     * @protected
     * @param {Pending} pending
     */
    protected isForeign({ place, user, source, restored }: Pending): boolean;
    /** There is a connection: everything goes out that has no answer yet. */
    opened(): void;
    /** Sends what was not sent on this connection. */
    flush(): void;
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
    /** Gives up on all of them. */
    end(): void;
    /**
     * Rejects those that `test` picks.
     *
     * @protected
     * @param {(pending: Pending) => ClientError} error
     * @param {(pending: Pending) => unknown} [test]
     */
    protected drop(error: (pending: Pending) => ClientError, test?: (pending: Pending) => unknown): void;
    /**
     * @protected
     * @param {any} id
     */
    protected settle(id: any): Pending | null;
}
/**
 * @param {string} id
 * @param {object} message
 * @returns {string}
 * @throws {ClientError} `invalid-message`
 */
export declare function requestText(id: string, message: object): string;
/** @param {Pending} pending */
export declare function unsent(pending: Pending): ClientError;
