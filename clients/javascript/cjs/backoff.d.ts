/**
 * The wait before the next attempt.
 *
 * @module
 */
export type BackoffOptions = {
    /**
     * Longest wait before the first attempt, in milliseconds. Default 500.
     */
    minMs?: number;
    /**
     * Longest wait before any attempt, in milliseconds. Default 20,000.
     */
    maxMs?: number;
};
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
export declare function backoffOptions({ minMs, maxMs }?: BackoffOptions): Required<BackoffOptions>;
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
export declare function backoffDelay(failures: number, { minMs, maxMs }: Required<BackoffOptions>, random: () => number): number;
