/**
 * A connection that comes back.
 *
 * @module
 */
import { Emitter } from './emitter.js';
import { ClientError } from './errors.js';
import { Reason, State } from './states.js';
import type { BackoffOptions } from './backoff.js';
import type { Environment, EnvironmentOptions, WebSocketLike } from './environment.js';
import type { WireMessage } from './message.js';
export type Address = string | (() => string | Promise<string>);
export type OwnOptions = {
    /**
     * Subprotocols to offer. Default: none.
     */
    protocols?: string | string[];
    /**
     * Attempts in a row that may fail before the client
     * gives up. Default: `Infinity`.
     */
    maxReconnectAttempts?: number;
    /**
     * Waits between attempts.
     */
    backoff?: BackoffOptions;
    /**
     * How long one attempt may take, the function that gives
     * the address included, in milliseconds. Default 10,000.
     */
    connectTimeoutMs?: number;
    /**
     * How long a connection must last, in milliseconds, for the
     * next wait to be a short one again. Default 5,000.
     */
    minUptimeMs?: number;
};
export type ClientOptions = OwnOptions & EnvironmentOptions;
export type StateChange = {
    state: State;
    previous: State;
    reason: Reason;
    /**
     * The close code, where the server or the network closed.
     */
    code?: number;
    /**
     * The text that came with the close code.
     */
    closeReason?: string;
    /**
     * What went wrong, where the platform or the address function tells.
     */
    error?: Error;
};
export type Details = Pick<StateChange, 'code' | 'closeReason' | 'error'>;
export type Retry = {
    /**
     * `reconnectAttempts`: how many in a row it makes, those made while
     * offline not counted.
     */
    attempt: number;
    delayMs: number;
};
export type LocalEvents = {
    /**
     * Every message, before its own type's listeners.
     */
    message: WireMessage;
    /**
     * Every change of state.
     */
    state: StateChange;
    /**
     * The wait before the next attempt has begun.
     */
    retry: Retry;
    /**
     * The server sent what is not a JSON object; it was dropped.
     */
    fault: ClientError;
};
/** @import { BackoffOptions } from './backoff.js' */
/** @import { Environment, EnvironmentOptions, WebSocketLike } from './environment.js' */
/** @import { WireMessage } from './message.js' */
/**
 * The address to connect to, or a function that is asked for it before each attempt, so that
 * a fresh token can be put in. Relative addresses are resolved against the page.
 *
 * A function that fails is asked again after the usual wait, unless it throws a `ClientError`
 * with the code `unauthorized`, which stops the client.
 *
 * @typedef {string | (() => string | Promise<string>)} Address
 */
/**
 * @typedef {object} OwnOptions
 * @property {string | string[]} [protocols] Subprotocols to offer. Default: none.
 * @property {number} [maxReconnectAttempts] Attempts in a row that may fail before the client
 *   gives up. Default: `Infinity`.
 * @property {BackoffOptions} [backoff] Waits between attempts.
 * @property {number} [connectTimeoutMs] How long one attempt may take, the function that gives
 *   the address included, in milliseconds. Default 10,000.
 * @property {number} [minUptimeMs] How long a connection must last, in milliseconds, for the
 *   next wait to be a short one again. Default 5,000.
 */
/** @typedef {OwnOptions & EnvironmentOptions} ClientOptions */
/**
 * @typedef {object} StateChange
 * @property {State} state
 * @property {State} previous
 * @property {Reason} reason
 * @property {number} [code] The close code, where the server or the network closed.
 * @property {string} [closeReason] The text that came with the close code.
 * @property {Error} [error] What went wrong, where the platform or the address function tells.
 */
/** @typedef {Pick<StateChange, 'code' | 'closeReason' | 'error'>} Details */
/**
 * The wait before the next attempt has begun.
 *
 * @typedef {object} Retry
 * @property {number} attempt `reconnectAttempts`: how many in a row it makes, those made while
 *   offline not counted.
 * @property {number} delayMs
 */
/**
 * What happens to the client itself.
 *
 * @typedef {object} LocalEvents
 * @property {WireMessage} message Every message, before its own type's listeners.
 * @property {StateChange} state Every change of state.
 * @property {Retry} retry The wait before the next attempt has begun.
 * @property {ClientError} fault The server sent what is not a JSON object; it was dropped.
 */
/**
 * A connection to one endpoint that speaks JSON objects, and is opened again whenever it is
 * lost.
 *
 * `on(type, listener)` receives the messages whose field `type` is `type`, and the client's
 * own events (`message`, `state`, `retry`, `fault`). A message whose type is the name of one
 * of the client's own events arrives as `message` only.
 *
 * @example
 * const client = new Client('/robust-chat/lobby');
 * client.on('state', ({ state, reason }) => console.log(state, reason));
 * client.on('error', ({ message }) => console.error(message));
 * client.connect();
 *
 * @template {object} [Messages={}] The messages by their `type`.
 * @extends {Emitter<LocalEvents & Messages>}
 */
export declare class Client<Messages extends object = {}> extends Emitter<LocalEvents & Messages> {
    #private;
    /**
     * Events that do not come from the server, so that it cannot forge them.
     *
     * @protected
     * @type {ReadonlySet<unknown>}
     */
    protected static localEvents: ReadonlySet<unknown>;
    /**
     * Attempts to come back since the connection was last open.
     */
    reconnectAttempts: number;
    /**
     * Attempts in a row that may fail before the client gives up.
     *
     * @type {number}
     */
    maxReconnectAttempts: number;
    /**
     * @protected
     * @readonly
     * @type {Environment}
     */
    protected readonly environment: Environment;
    /**
     * @param {Address} address
     * @param {ClientOptions} [options]
     * @throws {ClientError} `invalid-address`, `invalid-option`, `no-websocket`
     */
    constructor(address: Address, options?: ClientOptions);
    /**
     * @returns {State}
     */
    get state(): State;
    /**
     * Why the client is in its state.
     *
     * @returns {Reason}
     */
    get reason(): Reason;
    /**
     * The WebSocket of the present attempt or connection. Each attempt has its own.
     *
     * @returns {WebSocketLike | null}
     */
    get socket(): WebSocketLike | null;
    /**
     * Connects; while waiting for the next attempt, tries at once. Without effect while
     * connecting or connected.
     */
    connect(): void;
    /**
     * Sends a message, if the connection is open. Nothing is kept for later: what could not go
     * out is the caller's to repeat.
     *
     * @param {object} message Anything that `JSON.stringify` turns into a JSON object.
     * @returns {boolean} Whether it went out. Whether it arrived, only an answer can tell.
     */
    send(message: object): boolean;
    /**
     * Ends the connection, and the wish for one. Events of the server stop at once.
     */
    close(): void;
    /**
     * Begins the wait before the next attempt, or gives up when `maxReconnectAttempts` is
     * reached. The client calls this when a connection is lost; override it to decide otherwise.
     */
    attemptReconnect(): void;
}
