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
  try {
    const claims = String(token).split('.')[1] ?? '';
    return JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/'))).exp * 1000;
  } catch {
    // The server judges tokens; what is none here may be one there.
    return NaN;
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
