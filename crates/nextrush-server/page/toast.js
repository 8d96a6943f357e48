import { el, icon } from './dom.js';

/** The time that a toast stays: enough to read it twice. */
const SHOWN_MS = 7_000;

/** The most toasts that are shown at once; the oldest makes room. */
const LIMIT = 3;

/** Short messages that come and go, read out by screen readers as they come. */
export class Toasts {
  #root;

  /**
   * @param {HTMLElement} root a live region
   */
  constructor(root) {
    this.#root = root;
  }

  /** @param {string} text */
  error(text) {
    this.#show('error', text);
  }

  /** @param {string} text */
  info(text) {
    this.#show('info', text);
  }

  /**
   * @param {'error' | 'info'} kind
   * @param {string} text
   */
  #show(kind, text) {
    // The same words twice help nobody: the newer one replaces the older.
    for (const toast of this.#root.children) {
      if (toast.firstElementChild?.textContent === text) toast.remove();
    }
    const close = el(
      'button',
      { class: 'icon-button small', type: 'button', 'aria-label': 'Dismiss', on: { click: () => toast.remove() } },
      icon('close'),
    );
    const toast = el('div', { class: 'toast', 'data-testid': 'toast', 'data-kind': kind }, el('p', {}, text), close);
    this.#root.append(toast);
    while (this.#root.childElementCount > LIMIT) this.#root.firstElementChild?.remove();
    this.#expire(toast);
  }

  /**
   * A toast that is being read, under the pointer or with the focus, waits.
   *
   * @param {HTMLElement} toast
   */
  #expire(toast) {
    setTimeout(() => {
      if (toast.matches(':hover, :focus-within')) this.#expire(toast);
      else toast.remove();
    }, SHOWN_MS);
  }
}
