import { part, setAttribute, setText } from './dom.js';
import { inDevelopmentMode } from './session.js';

/** The way in: a name in development mode, a token otherwise. */
export class SignInView {
  #root;
  #session;
  #error;
  /** @type {HTMLInputElement} */
  #name;
  /** @type {HTMLTextAreaElement} */
  #token;
  #nameForm;
  #tokenForm;
  /** @type {Promise<boolean> | null} */
  #development = null;

  /**
   * @param {HTMLElement} root
   * @param {import('./session.js').Session} session
   */
  constructor(root, session) {
    this.#root = root;
    this.#session = session;
    this.#error = part(root, 'sign-in-error');
    this.#name = part(root, 'sign-in-name');
    this.#token = part(root, 'token-input');
    this.#nameForm = part(root, 'sign-in-form');
    this.#tokenForm = part(root, 'token-form');
    this.#nameForm.addEventListener('submit', (event) => this.#submit(event, this.#name, () => this.#enter()));
    this.#tokenForm.addEventListener('submit', (event) => this.#submit(event, this.#token, () => this.#present()));
  }

  /**
   * @param {string} [message] why one has to sign in again
   */
  async show(message = '') {
    this.#root.hidden = false;
    setText(this.#error, message);
    this.#development ??= inDevelopmentMode();
    const development = await this.#development;
    this.#nameForm.hidden = !development;
    this.#tokenForm.hidden = development;
    if (!this.#root.hidden) (development ? this.#name : this.#token).focus();
  }

  hide() {
    this.#root.hidden = true;
    this.#name.value = '';
    this.#token.value = '';
  }

  async #enter() {
    const name = this.#name.value.trim();
    if (name === '') throw new Error('Please enter a name.');
    await this.#session.signInAs(name);
  }

  async #present() {
    if (this.#token.value.trim() === '') throw new Error('Please paste a token.');
    this.#session.signIn(this.#token.value);
  }

  /**
   * @param {Event} event
   * @param {HTMLInputElement | HTMLTextAreaElement} field
   * @param {() => Promise<void>} signIn
   */
  async #submit(event, field, signIn) {
    event.preventDefault();
    const button = /** @type {HTMLFormElement} */ (event.currentTarget).querySelector('button');
    if (!button || button.disabled) return;
    button.disabled = true;
    setText(this.#error, '');
    try {
      await signIn();
      setAttribute(field, 'aria-invalid', null);
    } catch (error) {
      setText(this.#error, error instanceof Error ? error.message : String(error));
      setAttribute(field, 'aria-invalid', 'true');
      field.focus();
    } finally {
      button.disabled = false;
    }
  }
}
