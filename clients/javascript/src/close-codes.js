/**
 * What a close code (RFC 6455 §7.4, IANA's registry for 1012 and 1013) means for the client.
 *
 * @module
 */

import { Reason } from './states.js';

/**
 * @typedef {object} Verdict
 * @property {boolean} reconnect Whether the client comes back by itself.
 * @property {Reason} reason
 */

/** @type {ReadonlyMap<number, Verdict>} */
const VERDICTS = new Map([
  // The server's own 1000 ends one connection, as the connection timeout of an endpoint
  // does, and not the wish to be connected: that is the application's to end.
  [1000, { reconnect: true, reason: Reason.ServerClosed }],
  [1001, { reconnect: true, reason: Reason.GoingAway }],
  // What was refused is not sent again, so coming back is safe.
  [1002, { reconnect: true, reason: Reason.MessageRefused }],
  [1003, { reconnect: true, reason: Reason.MessageRefused }],
  [1007, { reconnect: true, reason: Reason.MessageRefused }],
  [1009, { reconnect: true, reason: Reason.MessageRefused }],
  // The same token would be refused again, for ever.
  [1008, { reconnect: false, reason: Reason.Unauthorized }],
  [1011, { reconnect: true, reason: Reason.ServerError }],
  [1012, { reconnect: true, reason: Reason.ServerRestart }],
  [1013, { reconnect: true, reason: Reason.TryLater }],
]);

/** @type {Verdict} */
const LOST = { reconnect: true, reason: Reason.ConnectionLost };

/**
 * What to do after the server, or the network, closed the connection with `code`.
 *
 * @param {number} code
 * @returns {Verdict}
 */
export function verdict(code) {
  return VERDICTS.get(code) ?? LOST;
}
