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
  return parse(address).href;
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
  const url = parse(server);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${segments.map(encodeSegment).join('/')}`;
  return withToken(url.href, token);
}

/**
 * @param {string} address
 * @param {MaybeToken} token
 * @returns {string}
 * @throws {ClientError} `invalid-address`
 */
export function withToken(address, token) {
  const url = parse(address);
  if (token) url.searchParams.set('token', token);
  return url.href;
}

/**
 * The place that an address leads to: server, endpoint and room, without what is another one at each
 * attempt, the token and the position.
 *
 * @param {string} address
 * @returns {string}
 * @throws {ClientError} `invalid-address`
 */
export function placeOf(address) {
  const url = parse(address);
  for (const name of ['token', 'epoch', 'offset']) url.searchParams.delete(name);
  return url.href;
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

/**
 * @param {unknown} address
 * @returns {URL}
 */
function parse(address) {
  /** @type {URL} */
  let url;
  try {
    if (typeof address !== 'string') throw address;
    url = new URL(address, globalThis.location?.href);
  } catch {
    // The platform's own error quotes the address, and with it the token.
    throw new ClientError('invalid-address');
  }
  url.protocol = url.protocol.replace('http', 'ws');
  // The address may hold a token, so only its scheme is told.
  if (!/^wss?:$/.test(url.protocol)) throw new ClientError('invalid-address', `not for WebSocket: ${url.protocol}`);
  url.hash = '';
  return url;
}
