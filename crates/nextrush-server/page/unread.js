/** Shows how much was said while nobody was looking, in the title and on the tab. */
export class Unread {
  #dot;
  #count = 0;
  #title = document.title;

  /**
   * @param {HTMLElement} dot
   */
  constructor(dot) {
    this.#dot = dot;
  }

  /** @param {number} count */
  set count(count) {
    this.#count = count;
    this.#show();
  }

  /** @param {string} title */
  set title(title) {
    this.#title = title;
    this.#show();
  }

  #show() {
    this.#dot.hidden = this.#count === 0;
    const title = this.#count === 0 ? this.#title : `(${this.#count}) ${this.#title}`;
    if (document.title !== title) document.title = title;
  }
}
