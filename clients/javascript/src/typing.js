/**
 * Users who are typing.
 *
 * @module
 */

import { platformTimers } from './environment.js';

/** @import { Timers } from './environment.js' */
/** @import { User, UserId } from './wire.js' */

/**
 * The users who are typing. One who never says that they stopped, because the connection
 * broke or the window closed, is taken off after a while.
 */
export class TypingUsers {
  /** @type {Map<UserId, { user: User, timer: unknown }>} */
  #users = new Map();
  #timers;
  #expiryMs;
  #changed;

  /**
   * @param {object} options
   * @param {Timers} [options.timers] Default: the platform's own.
   * @param {number} [options.expiryMs] How long a user counts as typing after last saying so, in
   *   milliseconds. Default 6,000.
   * @param {() => void} options.changed Called after each change of `list()`.
   */
  constructor({ timers = platformTimers, expiryMs = 6_000, changed }) {
    this.#timers = timers;
    this.#expiryMs = expiryMs;
    this.#changed = changed;
  }

  /**
   * @returns {User[]} In the order in which they began.
   */
  list() {
    return Array.from(this.#users.values(), ({ user }) => user);
  }

  /**
   * A user types, or types on.
   *
   * @param {User} user
   */
  start(user) {
    const known = this.#users.get(user.id);
    if (known) this.#timers.clearTimeout(known.timer);
    const timer = this.#timers.setTimeout(() => this.stop(user), this.#expiryMs);
    this.#users.set(user.id, { user, timer });
    if (!known) this.#changed();
  }

  /**
   * @param {User} user
   */
  stop({ id }) {
    const known = this.#users.get(id);
    if (!known) return;
    this.#timers.clearTimeout(known.timer);
    this.#users.delete(id);
    this.#changed();
  }

  clear() {
    if (this.#users.size === 0) return;
    for (const { timer } of this.#users.values()) this.#timers.clearTimeout(timer);
    this.#users.clear();
    this.#changed();
  }
}
