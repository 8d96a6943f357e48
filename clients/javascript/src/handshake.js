/**
 * Refused handshakes.
 *
 * @module
 */

import { parseMessage } from './message.js';

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
export async function refusalOf(fetch, address, signal) {
  try {
    const response = await fetch(address.replace(/^ws/, 'http'), {
      headers: { accept: 'application/json' },
      cache: 'no-store',
      redirect: 'manual',
      signal,
    });
    const { status } = response;
    // 426: all is well, but for its being no WebSocket.
    if (status < 400 || status === UPGRADE_REQUIRED) return null;
    const body = parseMessage(await response.text());
    const code = body?.['code'] ?? CODES[status];
    if (code === undefined) return null;
    const seconds = Number(response.headers.get('retry-after') ?? NaN);
    const later = seconds >= 0 && { retryAfterMs: seconds * 1000 };
    return { message: `HTTP ${status}`, ...later, ...body, type: 'error', code };
  } catch {
    // Not reached, or not allowed to be read by this page.
    return null;
  }
}

const UPGRADE_REQUIRED = 426;

/** The codes of refusals that are clear without one, and that intermediaries make too. @type {Record<number, string>} */
const CODES = { 401: 'authentication-required', 429: 'rate-limited', 503: 'unavailable' };
