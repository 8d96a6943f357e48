/**
 * Addresses of endpoints.
 *
 * @module
 */

import { ClientError } from './errors.js';

/**
 * The address in the form that `WebSocket` takes everywhere: absolute, `ws:` or `wss:`,
 * without fragment. `http:` and `https:` are translated; a relative address is resolved
 * against the page.
 *
 * @param {string} address
 * @returns {string}
 * @throws {ClientError} `invalid-address`
 */
export function webSocketAddress(address) {
  let href;
  try {
    if (typeof address !== 'string') throw address;
    // Nothing else of it is used: in React Native it has no more.
    ({ href } = new URL(address, globalThis.location?.href));
  } catch {
    // The platform's own error quotes the address, and with it the token.
    throw new ClientError('invalid-address');
  }
  href = href.replace(/^http/, 'ws').replace(/#[^]*/, '');
  // The address may hold a token, so only its scheme is told.
  if (!/^wss?:/.test(href)) throw new ClientError('invalid-address', `not for WebSocket: ${href.split(':')[0]}:`);
  return href;
}

/** @import { MaybeToken } from './token.js' */

/**
 * The address of an endpoint, with the token in the query.
 *
 * @param {string} server Address of the server, with or without a path before the endpoints.
 * @param {string[]} segments Parts of the endpoint's path, not yet encoded.
 * @param {MaybeToken} token
 * @returns {string}
 * @throws {ClientError} `invalid-address`
 */
export function endpointAddress(server, segments, token) {
  const path = segments.map(encodeSegment).join('/');
  return withToken(webSocketAddress(server).replace(/\/*(\?|$)/, (_, query) => `/${path}${query}`), token);
}

/**
 * @param {string} address
 * @param {MaybeToken} token
 * @returns {string}
 * @throws {ClientError} `invalid-address`
 */
export function withToken(address, token) {
  const href = webSocketAddress(address);
  return token ? withFields(href, { token }) : href;
}

/**
 * An address with these fields in its query, in the place of those of the same names.
 *
 * @param {string} address
 * @param {Record<string, string | number | null>} fields Those that are `null` are left out.
 * @returns {string}
 */
export function withFields(address, fields) {
  const [place, query = ''] = address.split(/\?([^]*)/);
  const kept = query.split('&').filter((field) => field && !Object.hasOwn(fields, field.replace(/=.*/, '')));
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null) kept.push(`${name}=${encodeURIComponent(value)}`);
  }
  return [place, kept.join('&')].filter(Boolean).join('?');
}

/**
 * The place that an address leads to: server, endpoint and room, without what is another one at each
 * attempt, the token or ticket and the position.
 *
 * @param {string} address
 * @returns {string}
 * @throws {ClientError} `invalid-address`
 */
export function placeOf(address) {
  return withFields(webSocketAddress(address), { token: null, ticket: null, auth: null, epoch: null, offset: null });
}

/**
 * The server that the page came from; where there is no page, as in Node,
 * `ws://localhost:3000`.
 *
 * @returns {string}
 */
export function defaultServer() {
  const origin = String(globalThis.location?.origin);
  // Pages from files and data have the origin `null`.
  return /^http/.test(origin) ? webSocketAddress(origin) : 'ws://localhost:3000';
}

/**
 * @param {string} segment
 * @returns {string}
 */
function encodeSegment(segment) {
  try {
    // URLs drop dot segments, even encoded ones: the request would go to another endpoint.
    if (!/^\.{0,2}$/.test(segment)) return encodeURIComponent(segment);
  } catch {
    // Half of a surrogate pair, which UTF-8 cannot say.
  }
  throw new ClientError('invalid-address', `not addressable: '${segment}'`);
}
