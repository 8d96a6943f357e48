import { sameUser } from './user.js';
import { sameDay } from './time.js';

/**
 * What a room's log shows, in the order it is shown.
 *
 * @typedef {import('./user.js').User} User
 * @typedef {{ kind: 'message', id: number, user: User, text: string, at: Date }} Message
 * @typedef {{ kind: 'private', from: User, to: User, text: string, at: Date }} PrivateMessage
 * @typedef {{ kind: 'notice', text: string, at: Date }} Notice
 * @typedef {Message | PrivateMessage | Notice} Item
 *
 * A message of a room as the server sends it.
 * @typedef {{ id: number, text: string, user: User, timestamp: string }} WireMessage
 */

/** Messages of one author closer than this stand together under one name. */
const GROUP_MS = 5 * 60_000;

/** How many items a room keeps in memory. */
const KEPT = 1_000;

/**
 * The log of one room. It survives a lost connection and a visit to another
 * room: the history that the server sends at each join is merged into it.
 */
export class Timeline {
  /** @type {Item[]} */
  #items = [];
  /** The highest message id seen; ids rise within a room. */
  #newest = -Infinity;

  get items() {
    return this.#items;
  }

  /**
   * Merges the history that comes with a join, and whatever private messages
   * came while the room was not open.
   *
   * @param {WireMessage[]} history oldest first
   * @param {PrivateMessage[]} [privates]
   * @returns {Item[]} what was added, to be shown after the rest
   */
  merge(history, privates = []) {
    const visited = this.#newest > -Infinity;
    const news = history.filter((message) => message.id > this.#newest).map(toMessage);
    // The server sends its latest messages only. If all of them are new, there
    // may have been more that nobody will ever send here.
    const gap = visited && news.length > 0 && news.length === history.length;
    /** @type {Item[]} */
    const added = [...news, ...privates].sort((a, b) => a.at.getTime() - b.at.getTime());
    if (gap) added.unshift({ kind: 'notice', text: 'Messages may be missing here', at: /** @type {Message} */ (news[0]).at });
    return this.#add(added);
  }

  /**
   * Adds a message that was just sent to the room.
   *
   * @param {WireMessage} message
   * @returns {Item[]} the message, or nothing when it was here already
   */
  receive(message) {
    return message.id > this.#newest ? this.#add([toMessage(message)]) : [];
  }

  /**
   * @param {PrivateMessage | Notice} item
   */
  append(item) {
    return this.#add([item]);
  }

  /**
   * @param {Item[]} items
   */
  #add(items) {
    for (const item of items) if (item.kind === 'message') this.#newest = Math.max(this.#newest, item.id);
    this.#items.push(...items);
    if (this.#items.length > KEPT) this.#items.splice(0, this.#items.length - KEPT);
    return items;
  }
}

/**
 * Who wrote an item; nobody for a notice.
 *
 * @param {Item} item
 */
export function author(item) {
  if (item.kind === 'message') return item.user;
  return item.kind === 'private' ? item.from : null;
}

/**
 * Whether an item belongs under the same name as the one before it.
 *
 * @param {Item | null} before
 * @param {Item} item
 */
export function continues(before, item) {
  if (before?.kind !== 'message' || item.kind !== 'message') return false;
  const pause = item.at.getTime() - before.at.getTime();
  return sameUser(before.user.id, item.user.id) && sameDay(before.at, item.at) && pause < GROUP_MS;
}

/**
 * @param {WireMessage} message
 * @returns {Message}
 */
function toMessage({ id, user, text, timestamp }) {
  return { kind: 'message', id, user, text, at: new Date(timestamp) };
}
