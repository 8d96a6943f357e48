import { part, setText } from './dom.js';
import { displayName } from './user.js';

/** The time after the last key stroke when typing counts as stopped. */
const IDLE_MS = 3_000;

/**
 * @typedef {import('./user.js').User} User
 * @typedef {object} ComposerActions
 * @property {(text: string) => void} say to the room
 * @property {(user: User, text: string) => void} whisper to one user
 * @property {(isTyping: boolean) => void} typing called at every key stroke, and once at the end
 */

/** The field where messages are written, to the room or to one member. */
export class Composer {
  #form;
  /** @type {HTMLTextAreaElement} */
  #input;
  /** @type {HTMLButtonElement} */
  #send;
  #hint;
  #label;
  #target;
  #targetName;
  #actions;
  #room = '';
  /** @type {User | null} */
  #to = null;
  #connected = false;
  /** @type {number | undefined} */
  #idle;

  /**
   * @param {HTMLElement} root
   * @param {ComposerActions} actions
   */
  constructor(root, actions) {
    this.#actions = actions;
    this.#form = part(root, 'composer');
    this.#input = part(root, 'message-input');
    this.#send = part(root, 'send-button');
    this.#hint = part(root, 'composer-hint');
    this.#label = part(root, 'message-label');
    this.#target = part(root, 'private-target');
    this.#targetName = part(root, 'private-target-name');
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#input.addEventListener('keydown', (event) => this.#keydown(event));
    this.#input.addEventListener('input', () => this.#typed());
    this.#input.addEventListener('blur', () => this.#stopTyping());
    part(root, 'private-cancel').addEventListener('click', () => this.addressRoom());
    this.#render();
  }

  /** The text that is written and not yet sent. */
  get draft() {
    return this.#input.value;
  }

  set draft(text) {
    this.#input.value = text;
    this.#resize();
    this.#render();
  }

  set room(/** @type {string} */ room) {
    this.#room = room;
    this.#to = null;
    this.#render();
  }

  set connected(/** @type {boolean} */ connected) {
    this.#connected = connected;
    this.#render();
  }

  focus() {
    this.#input.focus();
  }

  /**
   * The next messages go to one user, until the writer returns to the room.
   *
   * @param {User} user
   */
  addressPrivately(user) {
    this.#stopTyping();
    this.#to = user;
    this.#render();
    this.focus();
  }

  addressRoom() {
    this.#to = null;
    this.#render();
    this.focus();
  }

  /**
   * @param {KeyboardEvent} event
   */
  #keydown(event) {
    // Enter also ends the composition of a character in many scripts.
    if (event.isComposing) return;
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === 'Escape' && this.#to) {
      this.addressRoom();
    }
  }

  #submit() {
    const text = this.draft.trim();
    if (text === '') return;
    this.#stopTyping();
    this.draft = '';
    if (this.#to) this.#actions.whisper(this.#to, text);
    else this.#actions.say(text);
    this.focus();
  }

  #typed() {
    this.#resize();
    this.#render();
    // That somebody writes to somebody else is none of the room's business.
    if (this.#to) return;
    if (this.draft.trim() === '') return this.#stopTyping();
    this.#actions.typing(true);
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#stopTyping(), IDLE_MS);
  }

  #stopTyping() {
    clearTimeout(this.#idle);
    this.#actions.typing(false);
  }

  /** Lets the field grow with its text, up to the height that the style sheet allows. */
  #resize() {
    if (CSS.supports('field-sizing', 'content')) return;
    this.#input.style.height = 'auto';
    this.#input.style.height = `${this.#input.scrollHeight}px`;
  }

  #render() {
    const to = this.#to ? displayName(this.#to) : null;
    this.#target.hidden = to === null;
    setText(this.#targetName, to ?? '');
    this.#form.toggleAttribute('data-private', to !== null);
    this.#form.toggleAttribute('data-offline', !this.#connected);
    const label = to === null ? `Message #${this.#room}` : `Private message to ${to}`;
    setText(this.#label, label);
    this.#input.placeholder = label;
    this.#send.disabled = this.draft.trim() === '';
    setText(
      this.#hint,
      this.#connected
        ? 'Enter to send, Shift + Enter for a new line'
        : 'Not connected: what you send waits here and goes out by itself, also after a reload',
    );
  }
}
