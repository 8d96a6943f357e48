import { displayName, userKey } from './user.js';

/**
 * Somebody in a room, with the number of sockets the person has there.
 *
 * @typedef {{ user: import('./user.js').User, devices: number }} Person
 */

/**
 * Who is in a room. The server counts sockets; people are counted here, so that
 * a second window of somebody is a second device and not a second person.
 */
export class Roster {
  /** @type {Map<string, Person>} */
  #people = new Map();

  /**
   * Starts over from the server's list, which has one entry for each socket.
   *
   * @param {import('./user.js').User[]} users
   */
  reset(users) {
    this.#people.clear();
    for (const user of users) this.joined(user);
  }

  /**
   * A socket came.
   *
   * @param {import('./user.js').User} user
   * @returns {boolean} whether the person was not there before
   */
  joined(user) {
    const person = this.#people.get(userKey(user.id));
    if (person) {
      person.devices += 1;
      return false;
    }
    this.#people.set(userKey(user.id), { user, devices: 1 });
    return true;
  }

  /**
   * A socket went.
   *
   * @param {import('./user.js').User} user
   * @returns {boolean} whether it was the person's last
   */
  left(user) {
    const key = userKey(user.id);
    const person = this.#people.get(key);
    if (!person) return false;
    person.devices -= 1;
    return person.devices <= 0 && this.#people.delete(key);
  }

  /**
   * @param {import('./user.js').User['id']} id
   */
  find(id) {
    return this.#people.get(userKey(id)) ?? null;
  }

  /** Everybody, by name. */
  get people() {
    const people = [...this.#people.values()];
    return people.sort((a, b) => displayName(a.user).localeCompare(displayName(b.user)));
  }

  get size() {
    return this.#people.size;
  }
}
