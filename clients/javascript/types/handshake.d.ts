/**
 * Refused handshakes.
 *
 * @module
 */
import type { ErrorMessage } from './wire.js';
/** @import { ErrorMessage } from './wire.js' */
/**
 * Asks over HTTP why a handshake failed: WebSockets do not tell, so that a refusal looks like a bad
 * line.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {string} address Of the WebSocket.
 * @param {AbortSignal} signal
 * @returns {Promise<ErrorMessage | null>} The refusal of the server; `null` where there is none, or
 *   nobody says so in our form.
 */
export declare function refusalOf(fetch: typeof globalThis.fetch, address: string, signal: AbortSignal): Promise<ErrorMessage | null>;
