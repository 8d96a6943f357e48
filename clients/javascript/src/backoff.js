/**
 * The wait before the next attempt.
 *
 * @module
 */

import { checkOptions } from './errors.js';

/**
 * @typedef {object} BackoffOptions
 * @property {number} [minMs] Longest wait before the first attempt, in milliseconds. Default 500.
 * @property {number} [maxMs] Longest wait before any attempt, in milliseconds. Default 20,000.
 */

/**
 * Checks the options and fills in the defaults.
 *
 * @param {BackoffOptions} [options]
 * @returns {Required<BackoffOptions>}
 * @throws {ClientError} `invalid-option`
 */
export function backoffOptions({ minMs = 500, maxMs = 20_000 } = {}) {
  checkOptions(minMs > 0 && maxMs >= minMs && maxMs < Infinity);
  return { minMs, maxMs };
}

/**
 * The wait before an attempt, in milliseconds: a random share of a window that doubles
 * with each failure in a row.
 *
 * The whole window is drawn from ("full jitter"), not its upper half, because many clients
 * lose their connections at the same moment and must not return at the same moment.
 *
 * @param {number} failures Failures in a row before this wait, from 0.
 * @param {Required<BackoffOptions>} options
 * @param {() => number} random Uniform in [0, 1).
 * @returns {number}
 */
export function backoffDelay(failures, { minMs, maxMs }, random) {
  return random() * Math.min(maxMs, minMs * 2 ** failures);
}
