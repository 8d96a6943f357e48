/**
 * Close codes (RFC 6455 §7.4, IANA's registry for the others) and their meaning for the client.
 *
 * @module
 */
import type { Reason } from './states.js';
/**
 * The reason for the end of a connection that the server or the network closed with `code`.
 *
 * @param {number} code
 * @returns {Reason} `unauthorized` where coming back with the same token is of no use.
 */
export declare function closeReason(code: number): Reason;
