import { createHmac } from 'node:crypto';

/**
 * JSON Web Tokens (RFC 7519, RFC 7515 §7.1), by Node's own cryptography: nothing in common with
 * the code under test.
 *
 * @module
 */

/** The key of the tokens in the tests. */
export const SECRET = 'a secret of tests, thirty-two bytes and more';

/**
 * @param {unknown} claims
 * @param {{ secret?: string, alg?: string, hash?: string }} [options]
 */
export function sign(claims, { secret = SECRET, alg = 'HS256', hash = 'sha256' } = {}) {
  const content = `${encode({ alg, typ: 'JWT' })}.${encode(claims)}`;
  return `${content}.${createHmac(hash, secret).update(content).digest('base64url')}`;
}

/**
 * A token without signature, as an attacker writes it.
 *
 * @param {unknown} claims
 * @param {string} alg
 */
export function unsigned(claims, alg) {
  return `${encode({ alg, typ: 'JWT' })}.${encode(claims)}.`;
}

/**
 * @param {string | number} id
 */
export function user(id) {
  return { id, email: `${id}@example.com` };
}

/**
 * A valid token for a user.
 *
 * @param {string | number} id
 */
export function token(id) {
  return sign({ ...user(id), exp: seconds(600) });
}

/**
 * The time so many seconds from now, as tokens have it.
 *
 * @param {number} ahead
 */
export function seconds(ahead) {
  return Math.floor(Date.now() / 1000) + ahead;
}

/** @param {unknown} value */
function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
