import { part, setText } from './dom.js';

/** Asks before something is done that cannot be undone. */
export class Confirm {
  /** @type {HTMLDialogElement} */
  #dialog;
  #title;
  #text;
  #button;

  /** @param {ParentNode} root */
  constructor(root) {
    this.#dialog = part(root, 'confirm');
    this.#title = part(this.#dialog, 'confirm-title');
    this.#text = part(this.#dialog, 'confirm-text');
    this.#button = part(this.#dialog, 'confirm-button');
  }

  /**
   * @param {{ title: string, text: string, action: string }} question
   * @returns {Promise<boolean>}
   */
  ask({ title, text, action }) {
    setText(this.#title, title);
    setText(this.#text, text);
    setText(this.#button, action);
    this.#dialog.returnValue = '';
    this.#dialog.showModal();
    return new Promise((resolve) => {
      this.#dialog.addEventListener('close', () => resolve(this.#dialog.returnValue === 'yes'), { once: true });
    });
  }

  /** Closes it without an answer. */
  close() {
    if (this.#dialog.open) this.#dialog.close();
  }
}
