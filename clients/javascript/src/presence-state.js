/**
 * The state of presence: a snapshot, and the changes since.
 *
 * @module
 */

/** @import { PresenceDiff, PresenceMember, PresenceSnapshot, UserId } from './wire.js' */

/** Changes that wait for their snapshot, at most. More mean that it is better asked for anew. */
const HELD = 1_000;

/**
 * The members of a channel, put together from what the server sends, in whichever order it
 * comes: changes that are older than the snapshot are left out, newer ones wait for it.
 */
export class PresenceState {
  /** @type {Map<UserId, PresenceMember>} */
  #members = new Map();
  /** The version of what is known; `null` while a snapshot is waited for. @type {number | null} */
  #version = null;
  /** @type {PresenceDiff[]} */
  #held = [];
  /** @type {readonly PresenceMember[]} */
  #list = Object.freeze([]);

  /**
   * The members, in the order in which they came. The same array until something changes.
   *
   * @returns {readonly PresenceMember[]}
   */
  get list() {
    return this.#list;
  }

  /** Marks the list as old: the next snapshot replaces it. */
  forget() {
    this.#version = null;
    this.#held = [];
  }

  /**
   * @param {PresenceSnapshot} snapshot
   * @returns {boolean} Whether the changes that had come fit on it; if not, another snapshot is
   *   needed.
   */
  snapshot({ members, version }) {
    const held = this.#held.filter((diff) => diff.version > version);
    this.#held = [];
    this.#version = version;
    this.#members.clear();
    for (const member of asArray(members)) this.#put(member);
    const whole = held.every((diff) => this.#apply(diff));
    this.#publish();
    return whole;
  }

  /**
   * @param {PresenceDiff} diff
   * @returns {boolean} Whether it fits; if not, a snapshot is needed.
   */
  diff(diff) {
    if (this.#version === null) {
      this.#held.push(diff);
      if (this.#held.length > HELD) this.#held.shift();
      return true;
    }
    if (diff.version <= this.#version) return true;
    const whole = this.#apply(diff);
    if (whole) this.#publish();
    else this.#held.push(diff);
    return whole;
  }

  /**
   * @param {PresenceDiff} diff
   */
  #apply({ version, joined, left, updated }) {
    if (version !== /** @type {number} */ (this.#version) + 1) {
      this.#version = null;
      return false;
    }
    this.#version = version;
    for (const { user, device } of asArray(left)) {
      const member = this.#members.get(user.id);
      const devices = (member?.devices ?? []).filter(({ id }) => id !== device);
      if (!member || devices.length === 0) this.#members.delete(user.id);
      else this.#members.set(user.id, { ...member, devices });
    }
    for (const member of [...asArray(joined), ...asArray(updated)]) this.#put(member);
    return true;
  }

  /** @param {PresenceMember} member */
  #put({ user, devices }) {
    const known = this.#members.get(user.id)?.devices ?? [];
    const changed = new Map(known.map((device) => [device.id, device]));
    for (const device of asArray(devices)) changed.set(device.id, device);
    this.#members.set(user.id, { user, devices: [...changed.values()] });
  }

  #publish() {
    this.#list = Object.freeze([...this.#members.values()]);
  }
}

/**
 * @template T
 * @param {T[] | undefined} value
 * @returns {T[]}
 */
function asArray(value) {
  return Array.isArray(value) ? value : [];
}
