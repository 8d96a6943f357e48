/**
 * Addresses of endpoints.
 *
 * @module
 */

import { ClientError, ErrorCode } from './errors.js';

/**
 * A token, or a function that gets one, asked before each attempt to connect. To say that
 * there is none to be had, throw a `ClientError` with the code `unauthorized`.
 *
 * @typedef {string | null | undefined} MaybeToken
 * @typedef {MaybeToken | (() => MaybeToken | Promise<MaybeToken>)} TokenSource
 */

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
  const url = parse(address);
  if (url.protocol === 'http:') url.protocol = 'ws:';
  if (url.protocol === 'https:') url.protocol = 'wss:';
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    // The address may hold a token, so only its scheme is told.
    throw new ClientError(
      ErrorCode.InvalidAddress,
      `not an address for WebSocket: ${url.protocol}`,
    );
  }
  url.hash = '';
  return url.href;
}

/**
 * The address of an endpoint, with the token in the query.
 *
 * @param {string} server Address of the server, with or without a path before the endpoints.
 * @param {string[]} segments Parts of the endpoint's path, not yet encoded.
 * @param {TokenSource} token
 * @returns {string | Promise<string>} A promise only if the token is one.
 * @throws {ClientError} `invalid-address`
 */
export function endpointAddress(server, segments, token) {
  const url = new URL(webSocketAddress(server));
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${segments.map(encodeSegment).join('/')}`;

  /** @param {MaybeToken} value */
  const withToken = (value) => {
    if (value) url.searchParams.set('token', value);
    return url.href;
  };
  const value = typeof token === 'function' ? token() : token;
  return typeof value === 'object' && value !== null ? value.then(withToken) : withToken(value);
}

/**
 * The server that the page came from; where there is no page, as in Node,
 * `ws://localhost:3000`.
 *
 * @returns {string}
 */
export function defaultServer() {
  const page = globalThis.location;
  // Pages from files and data have a location without a host.
  return page?.host && /^https?:$/.test(page.protocol)
    ? webSocketAddress(`${page.protocol}//${page.host}`)
    : 'ws://localhost:3000';
}

/**
 * @param {string} segment
 * @returns {string}
 */
function encodeSegment(segment) {
  // URLs drop dot segments, even encoded ones: the request would go to another endpoint.
  const usable = segment !== '' && segment !== '.' && segment !== '..';
  try {
    if (usable) return encodeURIComponent(segment);
  } catch {
    // Half of a surrogate pair, which UTF-8 cannot say.
  }
  throw new ClientError(
    ErrorCode.InvalidAddress,
    `not usable in an address: ${JSON.stringify(segment)}`,
  );
}

/**
 * @param {unknown} address
 * @returns {URL}
 */
function parse(address) {
  if (typeof address !== 'string') {
    throw new ClientError(ErrorCode.InvalidAddress, `an address is a string, not ${typeof address}`);
  }
  try {
    return new URL(address, globalThis.location?.href);
  } catch {
    // The platform's own error quotes the address, and with it the token.
    throw new ClientError(ErrorCode.InvalidAddress, 'not an address');
  }
}
