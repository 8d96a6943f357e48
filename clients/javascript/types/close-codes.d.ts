/**
 * What a close code (RFC 6455 §7.4, IANA's registry for the others) means for the client.
 *
 * @module
 */
import type { Reason } from './states.js';
/**
 * What to make of it that the server, or the network, closed the connection with `code`.
 *
 * @param {number} code
 * @returns {Reason} `unauthorized` where coming back with the same token is of no use.
 */
export declare function closeReason(code: number): Reason;
