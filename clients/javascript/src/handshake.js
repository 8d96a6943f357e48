/**
 * Refused handshakes.
 *
 * This module is loaded when a handshake fails. It imports nothing, so that bundlers can load it
 * alone.
 *
 * @module
 */

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
export async function refusalOf(fetch, address, signal, bearer) {
  const response = await fetch(address.replace(/^ws/, 'http'), {
    headers: { accept: 'application/json', ...(bearer && { authorization: `Bearer ${bearer}` }) },
    cache: 'no-store',
    redirect: 'manual',
    signal,
  });
  const { status } = response;
  // 426: all is well, but for its being no WebSocket.
  if (status < 400 || status === UPGRADE_REQUIRED) return null;
  const body = bodyOf(await response.text());
  const code = body.code ?? CODES[status];
  if (code === undefined) return null;
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  const later = seconds >= 0 && { retryAfterMs: seconds * 1000 };
  return {
    answer: { message: `HTTP ${status}`, ...later, ...body, type: 'error', code },
    verdict: TOKEN_CODES.has(code) ? 'unauthorized' : FINAL_CODES.has(code) ? 'refused' : undefined,
  };
}

const UPGRADE_REQUIRED = 426;

/** The codes of refusals that are clear without one, and that intermediaries make too. @type {Record<number, string>} */
const CODES = { 401: 'authentication-required', 429: 'rate-limited', 503: 'unavailable' };

const TOKEN_CODES = new Set(['authentication-required', 'invalid-token', 'token-expired']);

/** Refusals that coming back does not change. */
const FINAL_CODES = new Set(['forbidden', 'invalid-name', 'not-found', 'origin-refused']);

/**
 * @param {string} text
 * @returns {Record<string, any>} Empty for anything but a JSON object.
 */
function bodyOf(text) {
  try {
    const value = JSON.parse(text);
    return Array.isArray(value) ? {} : Object(value);
  } catch {
    return {};
  }
}
