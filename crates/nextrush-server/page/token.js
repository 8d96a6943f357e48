/**
 * The bearer of a token, as the token says.
 *
 * @typedef {{ token: string, user: import('./user.js').User, expiresAt: number | null }} Identity
 * `expiresAt` in milliseconds since 1970; `null` for a token without an end.
 */

/**
 * Reads a JSON Web Token's claims, without checking its signature: that is the
 * server's business, the page only wants to know whose messages are its own.
 *
 * @param {string} token
 * @returns {Identity | null} `null` for what is no token, or one without `id` and `email`
 */
export function readToken(token) {
  const trimmed = token.trim().replace(/^Bearer\s+/i, '');
  const [, payload, signature] = trimmed.split('.');
  if (!payload || !signature) return null;
  const claims = decodeJson(payload);
  if (!isUserId(claims?.id) || typeof claims.email !== 'string') return null;
  const user = { id: claims.id, email: claims.email };
  return { token: trimmed, user, expiresAt: typeof claims.exp === 'number' ? claims.exp * 1000 : null };
}

/**
 * @param {unknown} id
 * @returns {id is string | number}
 */
function isUserId(id) {
  return typeof id === 'string' || typeof id === 'number';
}

/**
 * @param {string} base64url
 * @returns {any}
 */
function decodeJson(base64url) {
  try {
    const binary = atob(base64url.replace(/-/g, '+').replace(/_/g, '/'));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return null;
  }
}
