/**
 * The members of a room.
 *
 * @module
 */

/** @import { User, UserId } from './wire.js' */

/**
 * The members of a room, each user once however many connections they have.
 */
export class Members {
  /** @type {Map<UserId, { user: User, connections: number }>} */
  #members = new Map();

  /**
   * @returns {User[]} In the order in which they came.
   */
  list() {
    return Array.from(this.#members.values(), ({ user }) => user);
  }

  /**
   * @param {Iterable<User>} users Once per connection.
   */
  replace(users) {
    this.#members.clear();
    for (const user of users) this.add(user);
  }

  /**
   * @param {User} user
   * @returns {boolean} Whether they are new.
   */
  add(user) {
    const connections = (this.#members.get(user.id)?.connections ?? 0) + 1;
    this.#members.set(user.id, { user, connections });
    return connections === 1;
  }

  /**
   * Takes one connection from a user.
   *
   * @param {User} user
   * @returns {boolean} Whether it was their last.
   */
  remove({ id }) {
    const member = this.#members.get(id);
    if (!member) return false;
    member.connections -= 1;
    return member.connections === 0 && this.#members.delete(id);
  }
}
