import { displayName, userKey } from './user.js';

/**
 * Somebody in a room, with the number of sockets the person has there, and what is known of the
 * devices that they belong to.
 *
 * @typedef {{ user: import('./user.js').User, devices: number, known: KnownDevice[] }} Person
 * @typedef {{ id: string, name: string, since: Date }} KnownDevice
 */

/** The longest name of a device that is shown, in characters. */
const NAME_LENGTH = 60;

/**
 * The people in a room. The server counts sockets; people are counted here, so that
 * a second window of somebody is a second device and not a second person.
 */
export class Roster {
  /** @type {Map<string, { user: import('./user.js').User, sockets: number }>} */
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
      person.sockets += 1;
      return false;
    }
    this.#people.set(userKey(user.id), { user, sockets: 1 });
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
    person.sockets -= 1;
    return person.sockets <= 0 && this.#people.delete(key);
  }

  /**
   * @param {import('./user.js').User['id']} id
   */
  find(id) {
    return this.#people.get(userKey(id)) ?? null;
  }

  /**
   * Everybody, by name, with their devices. Presence names them, but keeps those that were lost
   * for a while, and tells nothing of clients that do not take part in it: there are never more
   * devices than sockets, and without presence each socket is one.
   *
   * @param {readonly import('../client/index.js').PresenceMember[]} [present]
   * @returns {Person[]}
   */
  withDevices(present = []) {
    const known = new Map(present.map(({ user, devices }) => [userKey(user.id), devices]));
    const people = [...this.#people.values()].map(({ user, sockets }) => {
      const devices = (known.get(userKey(user.id)) ?? []).slice(-sockets);
      return { user, devices: devices.length || sockets, known: devices.map(toDevice) };
    });
    return people.sort((a, b) => displayName(a.user).localeCompare(displayName(b.user)));
  }

  get size() {
    return this.#people.size;
  }
}

/**
 * The number of members, in words. Without a connection nobody knows it.
 *
 * @param {number} size
 * @param {boolean} isCurrent whether the list is that of the present connection
 */
export function countWords(size, isCurrent) {
  if (size === 0) return '';
  if (!isCurrent) return 'Members unknown';
  return size === 1 ? '1 member' : `${size} members`;
}

/**
 * @param {import('../client/index.js').PresenceMember['devices'][number]} device
 * @returns {KnownDevice}
 */
function toDevice({ id, since, data }) {
  const name = typeof data?.name === 'string' ? data.name.slice(0, NAME_LENGTH) : '';
  return { id, name: name || 'A device', since: new Date(since) };
}
