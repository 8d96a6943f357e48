/**
 * The parts of the platform that the client uses, each replaceable.
 *
 * @module
 */
export type WebSocketLike = {
    readyState: number;
    send: (data: string) => void;
    close: (code?: number, reason?: string) => void;
    addEventListener: (type: any, listener: (event: any) => void) => void;
};
export type WebSocketConstructor = new (url: string, protocols?: string[]) => WebSocketLike;
export type Timers = {
    setTimeout: (callback: () => void, ms: number) => unknown;
    clearTimeout: (timer: any) => void;
};
export type Network = {
    addEventListener: (type: any, listener: (event: any) => void) => void;
    removeEventListener: (type: any, listener: (event: any) => void) => void;
};
export type Page = Network & {
    readonly visibilityState: string;
};
export type Fetch = (address: string, options: any) => Promise<FetchAnswer>;
export type FetchAnswer = {
    status: number;
    headers: {
        get: (name: string) => string | null;
    };
    text: () => Promise<string>;
};
export type EnvironmentOptions = {
    /**
     * Default: the platform's own; in Node without one,
     * that of the package `ws`, where it is installed.
     */
    WebSocket?: WebSocketConstructor;
    /**
     * Default: the platform's own.
     */
    timers?: Timers;
    /**
     * A time in milliseconds that only rises, also where the clock is
     * set: for durations. Default: `performance.now`.
     */
    now?: () => number;
    /**
     * The time in milliseconds since 1970. Default: `Date.now`.
     */
    date?: () => number;
    /**
     * Asks the server why a handshake failed. Default: the
     * platform's own. `null`: nobody asks.
     */
    fetch?: Fetch | null;
    /**
     * Uniform in [0, 1). Default: `Math.random`.
     */
    random?: () => number;
    /**
     * What becomes visible and hidden. Default: the document, where
     * there is one. `null`: none.
     */
    page?: Page | null;
    /**
     * Default: the page or worker itself where it has events,
     * else none. `null`: none.
     */
    network?: Network | null;
};
export type Environment = Required<Omit<EnvironmentOptions, 'WebSocket'>>;
/**
 * The part of a WebSocket that the client uses: the browsers', Node's and that of the npm
 * package `ws` all have it.
 *
 * @typedef {object} WebSocketLike
 * @property {number} readyState
 * @property {(data: string) => void} send
 * @property {(code?: number, reason?: string) => void} close
 * @property {(type: any, listener: (event: any) => void) => void} addEventListener
 */
/**
 * @typedef {new (url: string, protocols?: string[]) => WebSocketLike} WebSocketConstructor
 */
/**
 * @typedef {object} Timers
 * @property {(callback: () => void, ms: number) => unknown} setTimeout
 * @property {(timer: any) => void} clearTimeout
 */
/**
 * The source of `online` and `offline` events.
 *
 * @typedef {object} Network
 * @property {(type: any, listener: (event: any) => void) => void} addEventListener
 * @property {(type: any, listener: (event: any) => void) => void} removeEventListener
 */
/**
 * A page that becomes visible and hidden, as a `document` does.
 *
 * @typedef {Network & { readonly visibilityState: string }} Page
 */
/**
 * The part of `fetch` that the client uses.
 *
 * @typedef {(address: string, options: any) => Promise<FetchAnswer>} Fetch
 */
/**
 * @typedef {object} FetchAnswer
 * @property {number} status
 * @property {{ get: (name: string) => string | null }} headers
 * @property {() => Promise<string>} text
 */
/**
 * @typedef {object} EnvironmentOptions
 * @property {WebSocketConstructor} [WebSocket] Default: the platform's own; in Node without one,
 *   that of the package `ws`, where it is installed.
 * @property {Timers} [timers] Default: the platform's own.
 * @property {() => number} [now] A time in milliseconds that only rises, also where the clock is
 *   set: for durations. Default: `performance.now`.
 * @property {() => number} [date] The time in milliseconds since 1970. Default: `Date.now`.
 * @property {Fetch | null} [fetch] Asks the server why a handshake failed. Default: the
 *   platform's own. `null`: nobody asks.
 * @property {() => number} [random] Uniform in [0, 1). Default: `Math.random`.
 * @property {Page | null} [page] What becomes visible and hidden. Default: the document, where
 *   there is one. `null`: none.
 * @property {Network | null} [network] Default: the page or worker itself where it has events,
 *   else none. `null`: none.
 */
/** @typedef {Required<Omit<EnvironmentOptions, 'WebSocket'>>} Environment */
/**
 * Fills in what the platform has.
 *
 * @param {EnvironmentOptions} [options]
 * @returns {Environment}
 */
export declare function resolveEnvironment({ timers, now, date, random, fetch, network, page, }?: EnvironmentOptions): Environment;
/**
 * The WebSocket to connect with. It is looked for when somebody connects, and not before: a page
 * that is rendered on a server makes clients there that never connect.
 *
 * @param {WebSocketConstructor} [given]
 * @returns {WebSocketConstructor}
 * @throws {ClientError} `no-websocket`
 */
export declare function findWebSocket(given?: WebSocketConstructor): WebSocketConstructor;
/** @type {Timers} */
export declare const platformTimers: Timers;
