/**
 * Errors, on the client's side and on the wire.
 *
 * @module
 */

/**
 * The codes of errors: first the client's own, which are those of `ClientError.code`, then the
 * server's, which are those of `ErrorMessage.code`, of HTTP answers and of `ClientError.refusal`. A
 * newer server may send further ones, an older one none.
 */
export const ErrorCode = /* @__PURE__ */ Object.freeze({
  /** The platform has no WebSocket and none was passed in. */
  NoWebSocket: 'no-websocket',
  /** An address, room or channel name that cannot be used. */
  InvalidAddress: 'invalid-address',
  /** An option outside its range. */
  InvalidOption: 'invalid-option',
  /** Not a JSON object: what the server sent, or a request with a value that JSON cannot say. */
  InvalidMessage: 'invalid-message',
  /** The transport reported an error; `cause` holds it where the platform tells. */
  Transport: 'transport',
  /** The server refuses a request; `refusal` is its code, `cause` its answer. */
  Refused: 'refused',
  /**
   * A request was not sent, and will not be: it was made for another room, server or user than the
   * client has now, or nobody knows for which.
   */
  Unsent: 'unsent',
  /** No answer to a request in time. Whether it was executed is not known, if it went out. */
  Timeout: 'timeout',
  /**
   * A request may have been executed, and repeating it could execute it twice: the connection was lost
   * before the answer came, or the server does not know either (`refusal` is then `in-doubt`).
   */
  Unconfirmed: 'unconfirmed',
  /** The server does not answer requests by their `id`. */
  Unsupported: 'unsupported',
  /** The outbox failed; `cause` holds the error. Requests go on in memory. */
  Store: 'store',
  /** Too many requests wait for their answers, or too many updates for their reader. */
  Overflow: 'overflow',
  /** The client was closed, or gave up, before the answer came. */
  Closed: 'closed',
  /** The server asked for what nobody here handles; told to the server. */
  NoHandler: 'no-handler',
  /**
   * There is no token to be had. An address or token function throws this to stop the
   * client for good: its state becomes `failed` with the reason `unauthorized`.
   */
  Unauthorized: 'unauthorized',

  /** The server: there was no token. */
  AuthenticationRequired: 'authentication-required',
  /** The server does not accept the token. */
  InvalidToken: 'invalid-token',
  /** The server: the token has expired. */
  TokenExpired: 'token-expired',
  /** The server: the token did not come in time. */
  AuthenticationTimeout: 'authentication-timeout',
  /** The server: no JSON object, or fields that do not fit. */
  InvalidFormat: 'invalid-format',
  /** The server does not know a message of this type. */
  UnknownType: 'unknown-type',
  /** The server: a name that no channel or room can have. */
  InvalidName: 'invalid-name',
  /** The server: a position that is none. */
  InvalidPosition: 'invalid-position',
  /** The server: this connection has as many channels as it may have. */
  TooManyChannels: 'too-many-channels',
  /** The server: this user may not subscribe to the channel. */
  SubscribeRefused: 'subscribe-refused',
  /** The server: this user, or this connection, was put out of the channel. */
  Kicked: 'kicked',
  /** The server: this user may not publish in the channel. */
  PublishRefused: 'publish-refused',
  /** The server: only subscribers may do this. */
  NotSubscribed: 'not-subscribed',
  /** The server: the channel has no presence. */
  NoPresence: 'no-presence',
  /** The server: the channel keeps no history. */
  NoHistory: 'no-history',
  /** Too many bytes: the server refuses it, or the client does not send it for that reason. */
  TooLarge: 'too-large',
  /** The server: too many messages; again after `retryAfterMs`. */
  RateLimited: 'rate-limited',
  /** The server: this user, or all together, keep as much as they may. */
  OverQuota: 'over-quota',
  /** The server: this address has as many connections as it may have. */
  TooManyConnections: 'too-many-connections',
  /** The server: another request had this `id`. */
  IdReused: 'id-reused',
  /** The server: a number that JavaScript cannot represent exactly, as an id. */
  IdNotExact: 'id-not-exact',
  /** The server: the recipient is not connected. */
  UserOffline: 'user-offline',
  /** The server could not keep the message; it was not executed. */
  NotStored: 'not-stored',
  /** The server has kept what was published, and not published it yet; it does so when it is asked again. */
  NotPublished: 'not-published',
  /** The server cannot do it now. */
  Unavailable: 'unavailable',
  /** The server does not know whether it was executed. */
  InDoubt: 'in-doubt',
  /** The server: an operator ended the connection. */
  Disconnected: 'disconnected',
  /** The server: there is no such thing. */
  NotFound: 'not-found',
  /** The server: not for this user. */
  Forbidden: 'forbidden',
  /** The server: pages of this origin may not connect. */
  OriginRefused: 'origin-refused',
  /** The server: no opening handshake of a WebSocket. */
  InvalidHandshake: 'invalid-handshake',
  /** The server refuses a request over HTTP for the reason that its text tells. */
  BadRequest: 'bad-request',
  /** The server failed. */
  Internal: 'internal',
});

/** @typedef {(typeof ErrorCode)[keyof typeof ErrorCode]} ErrorCode */

/**
 * A code of the server; newer servers may have further ones.
 *
 * @typedef {ErrorCode | (string & {})} WireCode
 */

/**
 * @param {boolean} valid
 * @throws {ClientError} `invalid-option`
 */
export function checkOptions(valid) {
  if (!valid) throw new ClientError('invalid-option');
}

/** @returns {ClientError} */
export function tooLarge() {
  return new ClientError('too-large');
}

/**
 * @param {{ [field: string]: any }} answer
 * @returns {ClientError}
 */
export function refused(answer) {
  const code = answer['code'] === 'in-doubt' ? 'unconfirmed' : 'refused';
  return new ClientError(code, String(answer['message']), { cause: answer });
}

/**
 * An error of this package; `code` says which.
 */
export class ClientError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} [message] Default: the code.
   * @param {{ cause?: any }} [options]
   */
  constructor(code, message = code, options) {
    super(message, options);
    this.name = 'ClientError';
    /**
     * The code of the error.
     *
     * @readonly
     * @type {ErrorCode}
     */
    this.code = code;
    /**
     * The code of the server, where it refuses a request or cannot say what became of it, and tells one.
     *
     * @readonly
     * @type {WireCode | undefined}
     */
    this.refusal = code === 'transport' ? undefined : options?.cause?.code;
  }
}
