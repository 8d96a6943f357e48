import { ErrorCode } from '../client/index.js';

/**
 * An error as the server sends it. Older servers send no code.
 *
 * @typedef {{ code?: string, message: string, details?: string }} Refusal
 */

/** @type {readonly unknown[]} */
const OF_THE_TOKEN = [ErrorCode.AuthenticationRequired, ErrorCode.InvalidToken, ErrorCode.TokenExpired];

/**
 * Tells whether a refusal is that of a token. It is followed by a close, and that signs out with a word.
 *
 * @param {Refusal} refusal
 */
export function isOfToken({ code }) {
  return OF_THE_TOKEN.includes(code);
}

/**
 * The words for a refusal.
 *
 * @param {Refusal} refusal
 */
export function refusalWords({ message, details }) {
  return details ? `${message}: ${details}` : message;
}

/**
 * The words for a message that was not sent.
 *
 * @param {{ code?: string, refusal?: string | undefined, message: string }} error that of the request
 */
export function failureWords({ code, refusal, message }) {
  switch (code) {
    case ErrorCode.Refused:
      return refusal === ErrorCode.UserOffline ? 'Not delivered: the recipient is not here' : `Not sent: ${message}`;
    case ErrorCode.Unconfirmed:
    case ErrorCode.Timeout:
      return 'Perhaps sent: the server did not confirm it in time';
    case ErrorCode.Overflow:
      return 'Not sent: too many messages wait already';
    case ErrorCode.Unsupported:
      return 'Not sent: this server does not confirm messages';
    default:
      return `Not sent: ${message}`;
  }
}
