import { sameUser } from './user.js';
import { sameDay } from './time.js';

/**
 * The items of a room's log, in the order in which they are shown.
 *
 * @typedef {import('./user.js').User} User
 * @typedef {{ kind: 'message', id: number, offset: number, user: User, text: string, at: Date }} Message
 * @typedef {{ kind: 'private', from: User, to: User, text: string, at: Date }} PrivateMessage
 * @typedef {{ kind: 'notice', text: string, at: Date }} Notice
 * @typedef {{ kind: 'gap', text: string, at: Date }} Gap messages that will not come
 * @typedef {Message | PrivateMessage | Notice | Gap} Item
 *
 * A message of a room as the server sends it.
 * @typedef {{ id: number, offset?: number, text: string, user: User, timestamp: string }} WireMessage
 */

/** Messages of one author closer than this stand together under one name. */
const GROUP_MS = 5 * 60_000;

/** The most items that a room keeps in memory. */
const KEPT = 1_000;

/**
 * The log of one room. It survives a lost connection: whatever the server sends is merged into
 * it, each message once.
 */
export class Timeline {
  /** @type {Item[]} */
  #items = [];
  /** The highest message id seen; ids rise within a room. */
  #newest = -Infinity;

  get items() {
    return this.#items;
  }

  /** The highest message id; `-Infinity` before the first. */
  get newest() {
    return this.#newest;
  }

  /** The first message of the room that is here. */
  get oldest() {
    return this.#items.find((item) => item.kind === 'message') ?? null;
  }

  /**
   * Merges what the server sends at a join, and whatever private messages came before.
   *
   * @param {WireMessage[]} history oldest first
   * @param {{ privates?: PrivateMessage[], gap?: string | null }} [more] `gap`: the words for what is missing
   * before the history
   * @returns {Item[]} what was added, to be shown after the rest
   */
  merge(history, { privates = [], gap = null } = {}) {
    const news = history.filter((message) => message.id > this.#newest).map(toMessage);
    /** @type {Item[]} */
    const added = [...news, ...privates].sort((a, b) => a.at.getTime() - b.at.getTime());
    if (gap !== null && this.#items.length > 0) added.unshift({ kind: 'gap', text: gap, at: added[0]?.at ?? new Date() });
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
   * Puts older messages before all others.
   *
   * @param {WireMessage[]} messages oldest first
   * @returns {boolean} whether there were any that were not here
   */
  prepend(messages) {
    const first = this.oldest?.id ?? Infinity;
    const older = messages.filter(({ id }) => id < first).map(toMessage);
    this.#items.unshift(...older);
    for (const { id } of older) this.#newest = Math.max(this.#newest, id);
    return older.length > 0;
  }

  /**
   * @param {PrivateMessage | Notice | Gap} item
   */
  append(item) {
    return this.#add([item]);
  }

  /**
   * Removes a message of the room that was deleted.
   *
   * @param {number} offset
   * @returns {boolean} whether it was here
   */
  remove(offset) {
    const place = this.#items.findIndex((item) => item.kind === 'message' && item.offset === offset);
    if (place >= 0) this.#items.splice(place, 1);
    return place >= 0;
  }

  /**
   * The messages of others after a message.
   *
   * @param {number} id of the message
   * @param {User} self
   * @returns {Message[]}
   */
  since(id, self) {
    /** @type {Message[]} */
    const found = [];
    for (const item of this.#items) {
      if (item.kind === 'message' && item.id > id && !sameUser(item.user.id, self.id)) found.push(item);
    }
    return found;
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
 * The author of an item; `null` for a notice or a gap.
 *
 * @param {Item} item
 */
export function author(item) {
  if (item.kind === 'message') return item.user;
  return item.kind === 'private' ? item.from : null;
}

/**
 * Tells whether an item belongs under the same name as the one before it.
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
function toMessage({ id, offset = 0, user, text, timestamp }) {
  return { kind: 'message', id, offset, user, text, at: new Date(timestamp) };
}
