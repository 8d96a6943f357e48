/**
 * Refused handshakes.
 *
 * This module is loaded when a handshake fails. It imports nothing, so that bundlers can load it
 * alone.
 *
 * @module
 */
import type { Fetch } from './environment.js';
import type { ErrorMessage } from './wire.js';
export type Refusal = {
    answer: ErrorMessage;
    /**
     * The reason to give up: `unauthorized` for
     * the token, `refused` where coming back changes nothing.
     */
    verdict: 'unauthorized' | 'refused' | undefined;
};
/** @import { Fetch } from './environment.js' */
/** @import { ErrorMessage } from './wire.js' */
/**
 * @typedef {object} Refusal
 * @property {ErrorMessage} answer
 * @property {'unauthorized' | 'refused' | undefined} verdict The reason to give up: `unauthorized` for
 *   the token, `refused` where coming back changes nothing.
 */
/**
 * Asks over HTTP why a handshake failed: WebSockets do not tell, so that a refusal looks like a bad
 * line.
 *
 * @param {Fetch} fetch
 * @param {string} address Of the WebSocket.
 * @param {AbortSignal} signal
 * @param {string | null | false} [bearer] The token, where it is not in the address.
 * @returns {Promise<Refusal | null>} The refusal of the server; `null` where there is none, or
 *   nobody says so in our form. Rejects where the server is not reached, or this page may not read
 *   what it says.
 */
export declare function refusalOf(fetch: Fetch, address: string, signal: AbortSignal, bearer?: string | null | false): Promise<Refusal | null>;
