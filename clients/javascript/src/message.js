/**
 * Messages in general: JSON objects in text.
 *
 * @module
 */

/**
 * A JSON object from the server.
 *
 * @typedef {{ type?: unknown, [field: string]: any }} WireMessage
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
