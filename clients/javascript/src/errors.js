/**
 * What can go wrong on the client's side.
 *
 * @module
 */

/**
 * The values of `ClientError.code`.
 */
export const ErrorCode = Object.freeze({
  /** The platform has no WebSocket and none was passed in. */
  NoWebSocket: 'no-websocket',
  /** An address, room or channel name that cannot be used. */
  InvalidAddress: 'invalid-address',
  /** An option outside its range. */
  InvalidOption: 'invalid-option',
  /** The server sent something that is not a JSON object in a text message. */
  InvalidMessage: 'invalid-message',
  /** The transport reported an error; `cause` holds it where the platform tells. */
  Transport: 'transport',
  /**
   * There is no token to be had. An address or token function throws this to stop the
   * client for good: its state becomes `failed` with the reason `unauthorized`.
   */
  Unauthorized: 'unauthorized',
});

/** @typedef {(typeof ErrorCode)[keyof typeof ErrorCode]} ErrorCode */

/**
 * An error of this package; `code` says which.
 */
export class ClientError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   * @param {{ cause?: unknown }} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = 'ClientError';
    /**
     * Which error it is.
     *
     * @readonly
     * @type {ErrorCode}
     */
    this.code = code;
  }
}
