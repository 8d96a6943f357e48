/**
 * Events of the platform: the network comes and goes, pages sleep, machines too.
 *
 * @module
 */
import type { Environment } from './environment.js';
export type PlatformListener = {
    online: () => void;
    offline: () => void;
    /**
     * The page goes to the back-forward cache, which takes no page
     * with an open connection.
     */
    asleep: () => void;
    /**
     * The page is shown, or runs again. `slept`: it is
     * certain that time was missed.
     */
    awake: (slept: boolean) => void;
};
/**
 * Tells `listener` what happens, until the function that is returned is called.
 *
 * @param {Pick<Environment, 'network' | 'page' | 'timers' | 'now' | 'date'>} environment
 * @param {PlatformListener} listener
 * @returns {() => void}
 */
export declare function watchPlatform({ network, page, timers, now, date }: Pick<Environment, 'network' | 'page' | 'timers' | 'now' | 'date'>, { online, offline, asleep, awake }: PlatformListener): () => void;
