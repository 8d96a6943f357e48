/**
 * Messages in general: JSON objects in text.
 *
 * @module
 */

import { ClientError } from './errors.js';

/**
 * A JSON object from the server.
 *
 * @typedef {{ type?: unknown, [field: string]: any }} WireMessage
 */

/**
 * Messages of any type, for `Client<AnyMessages>`: the names of events are not checked.
 *
 * @typedef {{ [type: string]: WireMessage }} AnyMessages
 */

/**
 * Reads a message.
 *
 * @param {unknown} data What a WebSocket delivered.
 * @returns {WireMessage | null} `null` for anything but a JSON object in text.
 */
export function parseMessage(data) {
  if (typeof data !== 'string') return null;
  try {
    const value = JSON.parse(data);
    return typeof value === 'object' && !Array.isArray(value) ? value : null;
  } catch {
    // What the parser says about foreign input helps nobody.
    return null;
  }
}

/**
 * Writes a message.
 *
 * @param {object} message
 * @returns {string}
 * @throws {ClientError} `invalid-message`
 */
export function textOf(message) {
  try {
    return JSON.stringify(message);
  } catch (cause) {
    throw new ClientError('invalid-message', undefined, { cause });
  }
}
