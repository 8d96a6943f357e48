/** Counts what was said while nobody was looking, in the title and on the tab. */
export class Unread {
  #dot;
  #isSeen;
  #count = 0;
  #title = document.title;

  /**
   * @param {HTMLElement} dot
   * @param {() => boolean} isSeen whether the chat is in sight
   */
  constructor(dot, isSeen) {
    this.#dot = dot;
    this.#isSeen = isSeen;
    document.addEventListener('visibilitychange', () => this.look());
  }

  /** One more message. */
  add() {
    this.#count += 1;
    this.look();
  }

  /** The chat may have come into sight. */
  look() {
    if (this.#isSeen() && document.visibilityState === 'visible') this.#count = 0;
    this.#dot.hidden = this.#count === 0;
    document.title = this.#count === 0 ? this.#title : `(${this.#count}) ${this.#title}`;
  }

  /** @param {string} title */
  set title(title) {
    this.#title = title;
    this.look();
  }

  reset() {
    this.#count = 0;
    this.look();
  }
}
