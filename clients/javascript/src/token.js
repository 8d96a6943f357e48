/**
 * Tokens, and when they end.
 *
 * @module
 */

/**
 * A token, or a function that gets one, asked before each attempt to connect and before the
 * present one expires. To say that there is none to be had, throw a `ClientError` with the code
 * `unauthorized`.
 *
 * @typedef {string | null | undefined} MaybeToken
 * @typedef {MaybeToken | (() => MaybeToken | Promise<MaybeToken>)} TokenSource
 */

/**
 * The expiry of a JSON Web Token (`exp`, RFC 7519 §4.1.4), in milliseconds since 1970.
 *
 * @param {MaybeToken} token
 * @returns {number} `NaN` for one that does not tell.
 */
export function expiryOf(token) {
  return claimsOf(token).exp * 1000;
}

/**
 * The time that a JSON Web Token was made for (`iat` to `exp`), in milliseconds.
 *
 * @param {MaybeToken} token
 * @returns {number} `Infinity` for one that does not tell.
 */
export function lifetimeOf(token) {
  const { iat, exp } = claimsOf(token);
  return (exp - iat) * 1000 || Infinity;
}

/**
 * The user that a JSON Web Token names.
 *
 * @param {TokenSource} token
 * @returns {string | undefined} As `userKey` makes it; none for a token that does not tell.
 */
export function userOf(token) {
  const { id, sub } = claimsOf(token);
  return userKey(id ?? sub);
}

/**
 * A name for a user's id that tells the number 1 from the text "1".
 *
 * @param {unknown} id
 * @returns {string | undefined}
 */
export function userKey(id) {
  return typeof id === 'string' || typeof id === 'number' ? JSON.stringify(id) : undefined;
}

/**
 * @param {TokenSource} token
 * @returns {Record<string, any>}
 */
function claimsOf(token) {
  try {
    // What is no text fails like what is no token.
    const [, base64] = /** @type {any} */ (token).split('.');
    const bytes = atob(base64.replaceAll('-', '+').replaceAll('_', '/'));
    // UTF-8 by hand: not everywhere is there a `TextDecoder`.
    const escaped = Array.from(bytes, (byte) => `%${(byte.charCodeAt(0) + 256).toString(16).slice(1)}`);
    return Object(JSON.parse(decodeURIComponent(escaped.join(''))));
  } catch {
    // The server judges tokens; what is none here may be one there.
    return {};
  }
}

/**
 * The wait before the refresh of a token that lives so much longer: until its last fifth,
 * or its last minute. Ten seconds at least, because where the clock is wrong every token looks
 * old.
 *
 * @param {number} lifetimeMs
 * @returns {number}
 */
export function refreshDelay(lifetimeMs) {
  return Math.max(10_000, lifetimeMs - Math.min(60_000, lifetimeMs / 5));
}
