/**
 * Users who are typing.
 *
 * @module
 */
import type { Timers } from './environment.js';
import type { User } from './wire.js';
/** @import { Timers } from './environment.js' */
/** @import { User, UserId } from './wire.js' */
/**
 * The users who are typing. One who never says that they stopped, because the connection
 * broke or the window closed, is taken off after a while.
 */
export declare class TypingUsers {
    #private;
    /**
     * @param {object} options
     * @param {Timers} [options.timers] Default: the platform's own.
     * @param {number} [options.expiryMs] How long a user counts as typing after last saying so, in
     *   milliseconds. Default 6,000.
     * @param {() => void} options.changed Called after each change of `list()`.
     */
    constructor({ timers, expiryMs, changed }: {
        timers?: Timers;
        expiryMs?: number;
        changed: () => void;
    });
    /**
     * @returns {User[]} In the order in which they began.
     */
    list(): User[];
    /**
     * A user types, or types on.
     *
     * @param {User} user
     */
    start(user: User): void;
    /**
     * @param {User} user
     */
    stop({ id }: User): void;
    clear(): void;
}
