/**
 * Close codes (RFC 6455 §7.4, IANA's registry for the others) and their meaning for the client.
 *
 * @module
 */


/** @import { Reason } from './states.js' */

/**
 * The reasons for the end of a connection, by code.
 *
 * @type {Readonly<Record<number, Reason>>}
 */
const REASONS = {
  // The server's own 1000 ends one connection, as the connection timeout of an endpoint
  // does, and not the wish to be connected: that is the application's to end.
  1000: 'server-closed',
  1001: 'going-away',
  // What was refused is not sent again, so coming back is safe.
  1002: 'message-refused',
  1003: 'message-refused',
  1007: 'message-refused',
  1009: 'message-refused',
  1011: 'server-error',
  1012: 'server-restart',
  1013: 'try-later',
  // The same token would be refused again, for ever.
  1008: 'unauthorized',
  3000: 'unauthorized',
  3003: 'unauthorized',
};

/**
 * The reason for the end of a connection that the server or the network closed with `code`.
 *
 * @param {number} code
 * @returns {Reason} `unauthorized` where coming back with the same token is of no use.
 */
export function closeReason(code) {
  return REASONS[code] ?? 'connection-lost';
}
