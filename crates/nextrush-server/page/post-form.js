import { part, setAttribute, setText } from './dom.js';

/** The fields of a post, for a new one and for a change. */
export class PostForm {
  /** @type {HTMLInputElement} */
  #title;
  /** @type {HTMLTextAreaElement} */
  #body;
  #error;
  #submit;

  /**
   * @param {HTMLElement} form
   * @param {string} prefix what the test ids of the fields begin with
   * @param {(draft: import('./posts-api.js').Draft) => Promise<void>} submit rejects with words to show
   */
  constructor(form, prefix, submit) {
    this.#title = part(form, `${prefix}-title`);
    this.#body = part(form, `${prefix}-body`);
    this.#error = part(form, `${prefix}-error`);
    this.#submit = submit;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#send(form);
    });
    form.addEventListener('keydown', (event) => {
      // Enter makes a new line in a text; with Ctrl or Cmd it is done.
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void this.#send(form);
    });
  }

  get draft() {
    return { title: this.#title.value.trim(), body: this.#body.value.trim() };
  }

  set draft({ title, body }) {
    this.#title.value = title;
    this.#body.value = body;
  }

  focus() {
    this.#title.focus();
  }

  /** @param {HTMLElement} form */
  async #send(form) {
    const button = form.querySelector('button:not([type="button"])');
    if (!(button instanceof HTMLButtonElement) || button.disabled) return;
    const { title, body } = this.draft;
    setAttribute(this.#title, 'aria-invalid', title === '' && 'true');
    if (title === '') {
      setText(this.#error, 'A post needs a title.');
      this.#title.focus();
      return;
    }
    setText(this.#error, '');
    button.disabled = true;
    try {
      await this.#submit({ title, body });
    } catch (error) {
      setText(this.#error, error instanceof Error ? error.message : String(error));
    } finally {
      button.disabled = false;
    }
  }
}
