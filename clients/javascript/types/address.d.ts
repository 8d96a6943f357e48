/**
 * Addresses of endpoints.
 *
 * @module
 */
export type MaybeToken = string | null | undefined;
export type TokenSource = MaybeToken | (() => MaybeToken | Promise<MaybeToken>);
/**
 * A token, or a function that gets one, asked before each attempt to connect. To say that
 * there is none to be had, throw a `ClientError` with the code `unauthorized`.
 *
 * @typedef {string | null | undefined} MaybeToken
 * @typedef {MaybeToken | (() => MaybeToken | Promise<MaybeToken>)} TokenSource
 */
/**
 * The address in the form that `WebSocket` takes everywhere: absolute, `ws:` or `wss:`,
 * without fragment. `http:` and `https:` are translated; a relative address is resolved
 * against the page.
 *
 * @param {string} address
 * @returns {string}
 * @throws {ClientError} `invalid-address`
 */
export declare function webSocketAddress(address: string): string;
/**
 * The address of an endpoint, with the token in the query.
 *
 * @param {string} server Address of the server, with or without a path before the endpoints.
 * @param {string[]} segments Parts of the endpoint's path, not yet encoded.
 * @param {TokenSource} token
 * @returns {string | Promise<string>} A promise only if the token is one.
 * @throws {ClientError} `invalid-address`
 */
export declare function endpointAddress(server: string, segments: string[], token: TokenSource): string | Promise<string>;
/**
 * The server that the page came from; where there is no page, as in Node,
 * `ws://localhost:3000`.
 *
 * @returns {string}
 */
export declare function defaultServer(): string;
