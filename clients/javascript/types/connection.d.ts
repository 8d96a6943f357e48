/**
 * A connection that comes back.
 *
 * @module
 */
import { Emitter } from './emitter.js';
import type { BackoffOptions } from './backoff.js';
import type { Environment, EnvironmentOptions, WebSocketLike } from './environment.js';
import type { MaybeToken, TokenSource } from './token.js';
import type { Reason, State } from './states.js';
export type Address = string | ((token: MaybeToken) => string | Promise<string>);
export type OwnOptions = {
    /**
     * A JWT, or a function that gets one before each attempt and
     * before the present one expires. Default: none.
     */
    token?: TokenSource;
    /**
     * Subprotocols to offer. Default: none.
     */
    protocols?: string | string[];
    /**
     * How the token goes to the server: in the address, as the
     * query parameter `token`, which proxies and browsers write into their logs; or as the subprotocol
     * `nextrush.bearer.<token>`, which a server must know, or browsers cannot connect. A token with other
     * characters than letters, digits and `_.~+-` goes in the address. With `ticket` the function gets a ticket,
     * which is good for one attempt and goes in the address as `ticket`. With `message` the token is the first
     * message, and the address has `auth=message`: a server must allow it. Default `address`.
     */
    tokenIn?: 'address' | 'subprotocol' | 'ticket' | 'message';
    /**
     * Attempts in a row that may fail before the client
     * gives up. Default: `Infinity`.
     */
    maxReconnectAttempts?: number;
    /**
     * How long attempts go on at least, in milliseconds, where their
     * number is limited: they are spread over this time. Default 0; `ChatClient` 22,000.
     */
    patienceMs?: number;
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
export type ConnectionOptions = OwnOptions & EnvironmentOptions;
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
export type ConnectionEvents = {
    /**
     * Every change of state.
     */
    state: StateChange;
    /**
     * The wait before the next attempt has begun.
     */
    retry: Retry;
};
/** @import { BackoffOptions } from './backoff.js' */
/** @import { Environment, EnvironmentOptions, WebSocketConstructor, WebSocketLike } from './environment.js' */
/** @import { MaybeToken, TokenSource } from './token.js' */
/** @import { Reason, State } from './states.js' */
/**
 * The address to connect to, or a function that is asked for it before each attempt, and given
 * the token. To a fixed address the token is added as the query parameter `token`. Relative
 * addresses are resolved against the page.
 *
 * A function that fails is asked again after the usual wait, unless it throws a `ClientError`
 * with the code `unauthorized`, which stops the client.
 *
 * @typedef {string | ((token: MaybeToken) => string | Promise<string>)} Address
 */
/**
 * @typedef {object} OwnOptions
 * @property {TokenSource} [token] A JWT, or a function that gets one before each attempt and
 *   before the present one expires. Default: none.
 * @property {string | string[]} [protocols] Subprotocols to offer. Default: none.
 * @property {'address' | 'subprotocol' | 'ticket' | 'message'} [tokenIn] How the token goes to the server: in the address, as the
 *   query parameter `token`, which proxies and browsers write into their logs; or as the subprotocol
 *   `nextrush.bearer.<token>`, which a server must know, or browsers cannot connect. A token with other
 *   characters than letters, digits and `_.~+-` goes in the address. With `ticket` the function gets a ticket,
 *   which is good for one attempt and goes in the address as `ticket`. With `message` the token is the first
 *   message, and the address has `auth=message`: a server must allow it. Default `address`.
 * @property {number} [maxReconnectAttempts] Attempts in a row that may fail before the client
 *   gives up. Default: `Infinity`.
 * @property {number} [patienceMs] How long attempts go on at least, in milliseconds, where their
 *   number is limited: they are spread over this time. Default 0; `ChatClient` 22,000.
 * @property {BackoffOptions} [backoff] Waits between attempts.
 * @property {number} [connectTimeoutMs] How long one attempt may take, the function that gives
 *   the address included, in milliseconds. Default 10,000.
 * @property {number} [minUptimeMs] How long a connection must last, in milliseconds, for the
 *   next wait to be a short one again. Default 5,000.
 */
/** @typedef {OwnOptions & EnvironmentOptions} ConnectionOptions */
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
 * Events of the connection.
 *
 * @typedef {object} ConnectionEvents
 * @property {StateChange} state Every change of state.
 * @property {Retry} retry The wait before the next attempt has begun.
 */
/**
 * A connection to one endpoint, which is opened again whenever it is lost. What goes over it is
 * the affair of those who extend it.
 *
 * @template {object} [Events={}]
 * @extends {Emitter<ConnectionEvents & Events>}
 */
export declare class Connection<Events extends object = {}> extends Emitter<ConnectionEvents & Events> {
    #private;
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
     * The token of the next attempt to connect, or the function that gets it.
     *
     * @type {TokenSource}
     */
    token: TokenSource;
    /**
     * @protected
     * @readonly
     * @type {Environment}
     */
    protected readonly environment: Environment;
    /**
     * Says that the function for tokens gets tickets.
     *
     * @protected
     * @readonly
     * @type {boolean}
     */
    protected readonly hasTickets: boolean;
    /**
     * True when the server has shown on this connection that it accepted the token.
     *
     * @protected
     */
    protected admitted: boolean;
    /**
     * @param {Address} address
     * @param {ConnectionOptions} [options]
     * @throws {ClientError} `invalid-address`, `invalid-option`
     */
    constructor(address: Address, options?: ConnectionOptions);
    /**
     * @returns {State}
     */
    get state(): State;
    /**
     * The reason for the present state.
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
     *
     * @throws {ClientError} `no-websocket`
     */
    connect(): void;
    /**
     * Ends the connection, and the wish for one. Events of the server stop at once.
     */
    close(): void;
    /**
     * Begins the wait before the next attempt, or gives up when `maxReconnectAttempts` is
     * reached. The client calls this when a connection is lost; override it to decide otherwise.
     */
    attemptReconnect(): void;
    /**
     * The connection is open, and nobody was told yet.
     *
     * @protected
     */
    protected opened(): void;
    /**
     * Something came.
     *
     * @protected
     * @param {unknown} _data
     */
    protected received(_data: unknown): void;
    /**
     * The connection, or the attempt, is over.
     *
     * @protected
     * @param {boolean} _isEnd Whether the client will not come back by itself.
     * @param {number} [_code] The close code.
     */
    protected released(_isEnd: boolean, _code?: number): void;
    /**
     * An attempt goes to this address.
     *
     * @protected
     * @param {string} _address
     * @param {MaybeToken} _token
     * @param {TokenSource} _source Where the token came from.
     */
    protected dialling(_address: string, _token: MaybeToken, _source: TokenSource): void;
    /**
     * @protected
     * @returns {MaybeToken | Promise<MaybeToken>}
     */
    protected askToken: () => MaybeToken | Promise<MaybeToken>;
    /**
     * The page is shown again, or the machine woke, and the connection looks open.
     *
     * @protected
     * @param {boolean} _slept Whether it is certain that time was missed.
     */
    protected awake(_slept: boolean): void;
    /**
     * The server says when to come back.
     *
     * @protected
     * @param {unknown} ms
     * @returns {boolean} Whether it does.
     */
    protected advise(ms: unknown): boolean;
    /**
     * The connection or the attempt is over, and the client will come back.
     *
     * @protected
     * @param {Reason} reason
     * @param {Details} [details]
     */
    protected lose(reason: Reason, details?: Details): void;
    /**
     * The client gives up.
     *
     * @protected
     * @param {Reason} reason
     * @param {Details} [details]
     */
    protected fail(reason: Reason, details?: Details): void;
}
