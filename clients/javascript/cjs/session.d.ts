/**
 * Messages over a connection that comes back.
 *
 * @module
 */
import { Connection } from './connection.js';
import { ClientError } from './errors.js';
import { Pulse } from './pulse.js';
import { Questions } from './questions.js';
import type { Address, ConnectionEvents, ConnectionOptions } from './connection.js';
import type { WireMessage } from './message.js';
import type { QuestionsOptions, RequestOptions } from './questions.js';
import type { UserId } from './wire.js';
export type OwnOptions = {
    /**
     * How long the answer to a request may take, waiting for a
     * connection included, in milliseconds. Default 30,000; with an outbox `Infinity`.
     */
    requestTimeoutMs?: number;
    /**
     * How long an open connection may be silent while an answer
     * is due, in milliseconds; then it counts as lost. Default 15,000.
     */
    answerTimeoutMs?: number;
    /**
     * How many requests may wait for their answers. Default 100.
     */
    requestLimit?: number;
    /**
     * How long after it first went out a request may be
     * repeated, in milliseconds. Shorter than the server remembers answers. Default: ten seconds less
     * than the server says, or 110,000.
     */
    repeatWindowMs?: number;
    /**
     * Whether the server may be asked about itself before it has shown
     * that it answers by `id`. With it a line that dies silently is found from the first moment. Default:
     * `true` for `LiveClient` and `ChatClient`, else `false`, as there are endpoints that would pass the
     * question on to others.
     */
    greet?: boolean;
    /**
     * The id of the user whose requests these are. Default: as the token says
     * (its claim `id` or `sub`), or else the server.
     */
    user?: UserId;
    /**
     * Where requests outlive the page, as `new Outbox(name)`.
     * Default: nowhere.
     */
    outbox?: RequestKeeper;
};
export type ClientOptions = OwnOptions & ConnectionOptions;
export type RequestKeeper = {
    requests: (options: QuestionsOptions) => Questions;
};
export type Restored = {
    id: string;
    message: any;
    /**
     * As of `request`.
     */
    reply: Promise<any>;
};
export type OwnEvents = {
    /**
     * Every message, before its own type's listeners.
     */
    message: WireMessage;
    /**
     * The server sent what is not a JSON object, and it was dropped; or
     * the outbox failed, and requests go on in memory; or a message was not sent, as JSON cannot say it or it
     * is larger than the server takes.
     */
    fault: ClientError;
    /**
     * A request of an earlier page, out of the outbox.
     */
    restored: Restored;
};
export type LocalEvents = ConnectionEvents & OwnEvents;
/** @import { Address, ConnectionEvents, ConnectionOptions } from './connection.js' */
/** @import { WireMessage } from './message.js' */
/** @import { QuestionsOptions, RequestOptions } from './questions.js' */
/** @import { MaybeToken } from './token.js' */
/** @import { UserId } from './wire.js' */
/**
 * @typedef {object} OwnOptions
 * @property {number} [requestTimeoutMs] How long the answer to a request may take, waiting for a
 *   connection included, in milliseconds. Default 30,000; with an outbox `Infinity`.
 * @property {number} [answerTimeoutMs] How long an open connection may be silent while an answer
 *   is due, in milliseconds; then it counts as lost. Default 15,000.
 * @property {number} [requestLimit] How many requests may wait for their answers. Default 100.
 * @property {number} [repeatWindowMs] How long after it first went out a request may be
 *   repeated, in milliseconds. Shorter than the server remembers answers. Default: ten seconds less
 *   than the server says, or 110,000.
 * @property {boolean} [greet] Whether the server may be asked about itself before it has shown
 *   that it answers by `id`. With it a line that dies silently is found from the first moment. Default:
 *   `true` for `LiveClient` and `ChatClient`, else `false`, as there are endpoints that would pass the
 *   question on to others.
 * @property {UserId} [user] The id of the user whose requests these are. Default: as the token says
 *   (its claim `id` or `sub`), or else the server.
 * @property {RequestKeeper} [outbox] Where requests outlive the page, as `new Outbox(name)`.
 *   Default: nowhere.
 */
/** @typedef {OwnOptions & ConnectionOptions} ClientOptions */
/**
 * A maker of requests that outlive the page, as `Outbox` is.
 *
 * @typedef {object} RequestKeeper
 * @property {(options: QuestionsOptions) => Questions} requests
 */
/**
 * A request of an earlier page, out of the outbox.
 *
 * @typedef {object} Restored
 * @property {string} id
 * @property {any} message
 * @property {Promise<any>} reply As of `request`.
 */
/**
 * Events of the client itself.
 *
 * @typedef {object} OwnEvents
 * @property {WireMessage} message Every message, before its own type's listeners.
 * @property {ClientError} fault The server sent what is not a JSON object, and it was dropped; or
 *   the outbox failed, and requests go on in memory; or a message was not sent, as JSON cannot say it or it
 *   is larger than the server takes.
 * @property {Restored} restored A request of an earlier page, out of the outbox.
 */
/** @typedef {ConnectionEvents & OwnEvents} LocalEvents */
/**
 * Messages to and from one endpoint, over connections that are opened again whenever they are lost:
 * what all clients have in common.
 *
 * @template {object} [Messages={}] The messages by their `type`.
 * @extends {Connection<OwnEvents & Messages>}
 */
export declare class Session<Messages extends object = {}> extends Connection<OwnEvents & Messages> {
    #private;
    /**
     * Events that do not come from the server, so that it cannot forge them.
     *
     * @protected
     * @type {ReadonlySet<unknown>}
     */
    protected static localEvents: ReadonlySet<unknown>;
    /**
     * @protected
     * @readonly
     * @type {Questions}
     */
    protected readonly requests: Questions;
    /**
     * @protected
     * @readonly
     * @type {Pulse}
     */
    protected readonly pulse: Pulse;
    /**
     * @param {Address} address
     * @param {ClientOptions} [options]
     * @throws {ClientError} `invalid-address`, `invalid-option`
     */
    constructor(address: Address, options?: ClientOptions);
    /**
     * Sends a message, if the connection is open. Nothing is kept for later: what could not go
     * out is the caller's to repeat.
     *
     * @param {object} message Anything that `JSON.stringify` turns into a JSON object.
     * @returns {boolean} Whether it went out. Whether it arrived, only an answer can tell. One that JSON
     *   cannot say or that is larger than the server takes does not go out, and is told by the event `fault`.
     */
    send(message: object): boolean;
    /**
     * Tells whether the server takes a message of this size, as far as it is known.
     *
     * @protected
     * @param {string} text
     */
    protected fits(text: string): boolean;
    /**
     * Sends a message that is answered.
     *
     * @protected
     * @param {string} text
     */
    protected sendRequest(text: string): boolean;
    /**
     * Sends a message that the server answers: now or, if the client waits for a connection with its
     * requests, as soon as there is one.
     *
     * @template [R=WireMessage]
     * @param {object} message Gets a field `id`.
     * @param {RequestOptions} [options]
     * @returns {Promise<R>} The answer: the `data` of a `reply`, any other message as it is. Rejects with a `ClientError`: `refused` with the
     *   server's error as its `cause`, `invalid-message` for what JSON cannot say, `too-large`, `timeout`,
     *   `overflow`, `unsent`, `unconfirmed`, `unsupported`, `closed`.
     */
    request<R = WireMessage>(message: object, options?: RequestOptions): Promise<R>;
    /**
     * Answers the server's requests of a name. Of several functions for one name the last one does.
     *
     * @example
     * client.handle('confirm', async ({ question }) => await ask(question));
     *
     * @param {string} name
     * @param {(data: any) => unknown} handler Returns the answer or a promise of it, anything that JSON can
     *   say. If it throws, the server is told the `code`, where that is text, and the `message` of the error.
     *   An answer that cannot be sent is told by the event `fault`, and the server waits in vain.
     * @returns {() => void} Takes the function away.
     */
    handle(name: string, handler: (data: any) => unknown): () => void;
    /**
     * The address that the next attempt to connect leads to, as far as it is known.
     *
     * @protected
     * @returns {string | undefined}
     */
    protected place(): string | undefined;
    /**
     * Looks at a message before anybody else.
     *
     * @protected
     * @param {WireMessage} _message
     * @returns {boolean} Whether the others are to see it.
     */
    protected accept(_message: WireMessage): boolean;
    /**
     * Tells everybody about a message of the server.
     *
     * @protected
     * @param {WireMessage} message
     */
    protected deliver(message: WireMessage): void;
    /**
     * @override
     * @protected
     */
    protected opened(): void;
    /**
     * Finds out who this is to the server.
     *
     * @protected
     */
    protected askWho(): void;
    /**
     * Fields that go with the question about the server.
     *
     * @protected
     * @type {object}
     */
    protected introduction: object;
    /**
     * @override
     * @protected
     * @param {unknown} data
     */
    protected received(data: unknown): void;
    /**
     * @override
     * @protected
     * @param {boolean} slept
     */
    protected awake(slept: boolean): void;
    /**
     * True while the server takes no messages, as there were too many.
     *
     * @protected
     */
    protected get paused(): boolean;
    /**
     * The server takes messages again, after it has dropped some.
     *
     * @protected
     */
    protected resumed(): void;
}
