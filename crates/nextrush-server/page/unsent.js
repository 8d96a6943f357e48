/**
 * The fate of a message that this user wrote. `open`: under way, or waiting for a connection.
 * `sent`: confirmed, and not seen in the room yet.
 *
 * @typedef {'open' | 'sent' | 'failed'} Fate
 *
 * @typedef {object} Draft
 * @property {number} key
 * @property {string} text
 * @property {import('./user.js').User | null} to `null` for the room
 * @property {Date} at
 * @property {Fate} fate
 * @property {string} why in words, when it failed
 * @property {number | null} messageId
 */

/**
 * The messages that a user wrote in a room and that are not in the room's log yet, in the order
 * in which they were written.
 *
 * The room's own message usually comes before the confirmation, and does not say from which
 * draft it is. The oldest draft with the same text then makes room for it: if that was wrong,
 * because the user said the same in another window, the other message takes its place.
 */
export class Unsent {
  /** @type {Draft[]} */
  #drafts = [];
  /** The drafts whose message is in the log, by a guess. @type {Set<Draft>} */
  #seen = new Set();
  #made = 0;

  /** The drafts to be shown after the log. */
  get drafts() {
    return this.#drafts.filter((draft) => !this.#seen.has(draft));
  }

  /**
   * @param {string} text
   * @param {import('./user.js').User | null} to
   * @param {Date} at
   * @returns {Draft}
   */
  add(text, to, at) {
    /** @type {Draft} */
    const draft = { key: (this.#made += 1), text, to, at, fate: 'open', why: '', messageId: null };
    this.#drafts.push(draft);
    return draft;
  }

  /**
   * A message of this user appeared in the log.
   *
   * @param {{ id: number, text: string }} message
   */
  appeared({ id, text }) {
    const sure = this.#drafts.find((draft) => draft.messageId === id);
    if (sure) return this.remove(sure);
    const open = this.drafts.find((draft) => draft.to === null && draft.fate === 'open' && draft.text === text);
    if (open) this.#seen.add(open);
  }

  /**
   * The server has confirmed a draft.
   *
   * @param {Draft} draft
   * @param {number} messageId
   * @param {boolean} isHere whether that message is in the log
   */
  confirmed(draft, messageId, isHere) {
    if (isHere || this.#seen.has(draft)) return this.remove(draft);
    draft.fate = 'sent';
    draft.messageId = messageId;
  }

  /**
   * @param {Draft} draft
   * @param {string} why
   */
  failed(draft, why) {
    this.#seen.delete(draft);
    draft.fate = 'failed';
    draft.why = why;
  }

  /** @param {Draft} draft */
  remove(draft) {
    this.#seen.delete(draft);
    this.#drafts = this.#drafts.filter((other) => other !== draft);
  }

  /**
   * The log has moved on: what was confirmed and is older will not appear any more.
   *
   * @param {number} newest id of the newest message
   */
  passed(newest) {
    this.#drafts = this.#drafts.filter(({ messageId }) => messageId === null || messageId > newest);
  }
}
