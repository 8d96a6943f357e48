import { Reason, State } from '/client/index.js';
import { part, setText } from './dom.js';

/**
 * What is said about a connection. `state` is one of `connecting`, `connected`,
 * `reconnecting`, `offline`, `failed` and `signed-out`.
 *
 * @typedef {{ state: string, label: string, canRetry: boolean }} Description
 */

/**
 * @param {{ state: string, reason: string, reconnectAttempts: number }} client
 * @returns {Description}
 */
export function describe({ state, reason, reconnectAttempts }) {
  const attempt = `attempt ${Math.max(1, reconnectAttempts)}`;
  switch (state) {
    case State.Connected:
      return { state: 'connected', label: 'Connected', canRetry: false };
    case State.Connecting:
      return reconnectAttempts === 0
        ? { state: 'connecting', label: 'Connecting…', canRetry: false }
        : { state: 'reconnecting', label: `Reconnecting (${attempt})`, canRetry: false };
    case State.Suspended:
      return { state: 'offline', label: 'Offline', canRetry: true };
    case State.Disconnected:
      return { state: 'reconnecting', label: `Reconnecting (${attempt})`, canRetry: true };
    case State.Failed:
      return reason === Reason.Unauthorized
        ? { state: 'signed-out', label: 'Signed out', canRetry: false }
        : { state: 'failed', label: 'Disconnected', canRetry: true };
    default:
      return { state: 'signed-out', label: 'Signed out', canRetry: false };
  }
}

/** Shows the state of one client's connection, with the seconds until the next attempt. */
export class ConnectionStatus {
  #root;
  #label;
  #countdown;
  #retry;
  /** @type {import('/client/index.js').Client<any> | null} */
  #client = null;
  /** @type {(() => void)[]} */
  #listeners = [];
  /** @type {number | undefined} */
  #ticker;
  /** When the next attempt begins, in the time of `performance.now()`. */
  #nextAttempt = 0;

  /**
   * @param {ParentNode} view
   * @param {string} prefix what the test ids of this view begin with
   */
  constructor(view, prefix = '') {
    this.#root = part(view, `${prefix}connection`);
    this.#label = part(view, `${prefix}connection-state`);
    this.#countdown = part(view, `${prefix}connection-countdown`);
    this.#retry = part(view, `${prefix}retry-now`);
    this.#retry.addEventListener('click', () => this.#client?.connect());
  }

  /**
   * @param {import('/client/index.js').Client<any>} client
   */
  follow(client) {
    this.unfollow();
    this.#client = client;
    this.#listeners = [
      client.on('state', () => this.#show()),
      client.on('retry', ({ delayMs }) => this.#count(delayMs)),
    ];
    this.#show();
  }

  unfollow() {
    for (const stop of this.#listeners) stop();
    this.#listeners = [];
    this.#client = null;
    clearInterval(this.#ticker);
  }

  #show() {
    if (!this.#client) return;
    clearInterval(this.#ticker);
    this.#countdown.textContent = '';
    const { state, label, canRetry } = describe(this.#client);
    this.#root.dataset.state = state;
    this.#retry.hidden = !canRetry;
    setText(this.#label, label);
  }

  /**
   * @param {number} delayMs
   */
  #count(delayMs) {
    // The attempt is numbered only now, after the change of state.
    this.#show();
    this.#nextAttempt = performance.now() + delayMs;
    const tick = () => {
      const seconds = Math.ceil((this.#nextAttempt - performance.now()) / 1000);
      this.#countdown.textContent = seconds > 0 ? `in ${seconds} s` : '';
    };
    tick();
    this.#ticker = setInterval(tick, 250);
  }
}
