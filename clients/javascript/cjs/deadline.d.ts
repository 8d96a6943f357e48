/**
 * A moment that something waits for.
 *
 * @module
 */
import type { Timers } from './environment.js';
/**
 * A timer that is set anew, or given up.
 */
export declare class Deadline {
    #private;
    /** @param {Timers} timers */
    constructor(timers: Timers);
    /** True while the timer runs. */
    get set(): boolean;
    /**
     * Waits; a wait that was under way ends without a call.
     *
     * @param {number} ms At most 25 days; a longer wait ends then.
     * @param {() => void} callback
     */
    start(ms: number, callback: () => void): void;
    clear(): void;
}
