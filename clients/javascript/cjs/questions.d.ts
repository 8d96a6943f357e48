/**
 * Questions: messages that are answered.
 *
 * @module
 */
import { Deadline } from './deadline.js';
import { ClientError } from './errors.js';
import type { Timers } from './environment.js';
import type { WireMessage } from './message.js';
import type { MaybeToken, TokenSource } from './token.js';
import type { UserId } from './wire.js';
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
    source?: TokenSource;
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
    resolve: (reply: any) => void;
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
export type Asking = {
    state: string;
    token: TokenSource;
    /**
     * The address that the next attempt to connect leads to.
     */
    place: () => string | undefined;
    sendRequest: (text: string) => boolean;
    /**
     * Tells whether the server takes so much.
     */
    fits: (text: string) => boolean;
    emit: (type: string, event: unknown) => void;
    /**
     * Finds out who this is to the server.
     */
    askWho: () => void;
};
export type QuestionsOptions = {
    client: Asking;
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
     * How long after it first went out a request may be repeated.
     */
    windowMs: number;
    /**
     * The user's id, if the application tells.
     */
    user: UserId | undefined;
};
/** @import { Timers } from './environment.js' */
/** @import { WireMessage } from './message.js' */
/** @import { MaybeToken, TokenSource } from './token.js' */
/** @import { UserId } from './wire.js' */
/**
 * The place that requests go to, and their user.
 *
 * @typedef {object} Scope
 * @property {string | undefined} [place] The address: server, endpoint and room.
 * @property {string | undefined} [user] JSON of the user's id, if that is known.
 * @property {TokenSource} [source] Where the token comes from, which tells users apart before they are known.
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
 * @property {(reply: any) => void} resolve
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
 * The client that asks.
 *
 * @typedef {object} Asking
 * @property {string} state
 * @property {TokenSource} token
 * @property {() => string | undefined} place The address that the next attempt to connect leads to.
 * @property {(text: string) => boolean} sendRequest
 * @property {(text: string) => boolean} fits Tells whether the server takes so much.
 * @property {(type: string, event: unknown) => void} emit
 * @property {() => void} askWho Finds out who this is to the server.
 */
/**
 * @typedef {object} QuestionsOptions
 * @property {Asking} client
 * @property {Timers} timers
 * @property {() => number} now A time that only rises.
 * @property {() => number} date
 * @property {number} limit How many may wait for their answers.
 * @property {number} timeoutMs
 * @property {number} windowMs How long after it first went out a request may be repeated.
 * @property {UserId | undefined} user The user's id, if the application tells.
 */
/**
 * The messages that wait for their answers, in the order in which they were made. They live with the
 * connection on which they were asked.
 */
export declare class Questions {
    #private;
    /**
     * True if the server answers by `id`; `null` until it has shown either.
     *
     * @type {boolean | null}
     */
    supported: boolean | null;
    /** The time after its first sending in which a request may be repeated, in milliseconds. */
    windowMs: number;
    /**
     * @protected
     * @type {Map<string, Pending>}
     */
    protected pending: Map<string, Pending>;
    /**
     * @protected
     * @readonly
     */
    protected readonly options: QuestionsOptions;
    /** @param {QuestionsOptions} options */
    constructor(options: QuestionsOptions);
    /** True while an answer is due. */
    get waiting(): boolean;
    /**
     * @protected
     * @param {(pending: Pending) => unknown} test
     */
    protected any(test: (pending: Pending) => unknown): boolean;
    /** A name for a message that no other has. */
    newId(): string;
    /**
     * @param {object} message
     * @param {RequestOptions} [options]
     * @returns {Promise<any>}
     */
    add(message: object, { timeoutMs, repeat }?: RequestOptions): Promise<any>;
    /**
     * @protected
     * @returns {Scope}
     * @throws {ClientError} `unsent`
     */
    protected scopeOfNew(): Scope;
    /**
     * @protected
     * @param {Pending} pending
     */
    protected begin(pending: Pending): void;
    /**
     * An attempt to connect begins.
     *
     * @param {string} _address
     * @param {MaybeToken} _token
     * @param {TokenSource} _source Where the token came from.
     */
    enter(_address: string, _token: MaybeToken, _source: TokenSource): void;
    /**
     * The server has told who this is, or cannot.
     *
     * @param {UserId} [_user]
     */
    identify(_user?: UserId): void;
    /** There is a connection. */
    opened(): void;
    /**
     * The connection is over.
     *
     * @param {boolean} isEnd Whether the client will not come back by itself.
     */
    released(isEnd: boolean): void;
    /** The limit of the server is known better: what is larger is not sent, or not again. */
    refuseTooLarge(): void;
    /** Some were dropped on the way: what has no answer goes out again, on the same connection. */
    repeat(): void;
    /**
     * @protected
     * @param {Pending} pending
     * @param {boolean} _repeat Whether one that was sent may be sent again.
     */
    protected resend(pending: Pending, _repeat: boolean): void;
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
     * Rejects those that `test` picks.
     *
     * @protected
     * @param {(pending: Pending) => ClientError} error
     * @param {(pending: Pending) => unknown} [test]
     */
    protected drop(error: (pending: Pending) => ClientError, test?: (pending: Pending) => unknown): void;
    /**
     * @protected
     * @param {Pending} pending
     * @returns {boolean} Whether it went out.
     */
    protected dispatch(pending: Pending): boolean;
    /**
     * @protected
     * @param {any} id
     */
    protected settle(id: any): Pending | null;
}
/** @param {Pending} pending */
export declare function wentOut({ sentAt }: Pending): boolean;
/** @param {Pending} pending */
export declare function unsent(pending: Pending): ClientError;
