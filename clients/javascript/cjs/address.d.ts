/**
 * Addresses of endpoints.
 *
 * @module
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
import type { MaybeToken } from './token.js';
/** @import { MaybeToken } from './token.js' */
/**
 * The address of an endpoint, with the token in the query.
 *
 * @param {string} server Address of the server, with or without a path before the endpoints.
 * @param {string[]} segments Parts of the endpoint's path, not yet encoded.
 * @param {MaybeToken} token
 * @returns {string}
 * @throws {ClientError} `invalid-address`
 */
export declare function endpointAddress(server: string, segments: string[], token: MaybeToken): string;
/**
 * @param {string} address
 * @param {MaybeToken} token
 * @returns {string}
 * @throws {ClientError} `invalid-address`
 */
export declare function withToken(address: string, token: MaybeToken): string;
/**
 * An address with these fields in its query, in the place of those of the same names.
 *
 * @param {string} address
 * @param {Record<string, string | number | null>} fields Those that are `null` are left out.
 * @returns {string}
 */
export declare function withFields(address: string, fields: Record<string, string | number | null>): string;
/**
 * The place that an address leads to: server, endpoint and room, without what is another one at each
 * attempt, the token or ticket and the position.
 *
 * @param {string} address
 * @returns {string}
 * @throws {ClientError} `invalid-address`
 */
export declare function placeOf(address: string): string;
/**
 * The server that the page came from; where there is no page, as in Node,
 * `ws://localhost:3000`.
 *
 * @returns {string}
 */
export declare function defaultServer(): string;
