/**
 * Signs of life of a connection.
 *
 * @module
 */
import type { Environment } from './environment.js';
export type PulseOptions = {
    environment: Pick<Environment, 'timers' | 'now' | 'page'>;
    /**
     * How long the other side may be silent while an answer is due.
     */
    answerMs: number;
    /**
     * Sends a question, and tells whether something is to come;
     * `null`: never, as the other side does not answer.
     */
    ask: () => boolean | null;
    /**
     * Tells whether an answer is due.
     */
    waiting: () => boolean;
    /**
     * Called when the other side was silent for too long.
     */
    lost: () => void;
};
/** @import { Environment } from './environment.js' */
/**
 * @typedef {object} PulseOptions
 * @property {Pick<Environment, 'timers' | 'now' | 'page'>} environment
 * @property {number} answerMs How long the other side may be silent while an answer is due.
 * @property {() => boolean | null} ask Sends a question, and tells whether something is to come;
 *   `null`: never, as the other side does not answer.
 * @property {() => boolean} waiting Tells whether an answer is due.
 * @property {() => void} lost Called when the other side was silent for too long.
 */
/**
 * Watches that the other side of a connection lives: asks it from time to time, and tells when it
 * is silent while an answer is due. There are two timers, however many messages come.
 */
export declare class Pulse {
    #private;
    /** @param {PulseOptions} options */
    constructor(options: PulseOptions);
    /**
     * The server pings a silent line at this interval. Asked a little more often, it need not, and a
     * line that is silent for longer is dead.
     *
     * @param {unknown} ms
     */
    set intervalMs(ms: unknown);
    /** Something came. */
    heard(): void;
    /**
     * The other side answers: from now on it is asked.
     *
     * Called when a message comes, also for each answer, and not by the timer: browsers call the timers
     * of hidden pages once a minute if they were set by timers alone.
     */
    start(): void;
    /**
     * An answer is due.
     *
     * @param {number} [ms] How long the other side may be silent.
     */
    expect(ms?: number): void;
    stop(): void;
}
