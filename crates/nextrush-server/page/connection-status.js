import { Reason, State } from '../client/index.js';
import { part, setText } from './dom.js';

/**
 * The description of a connection for people. `state` is one of `connecting`, `connected`,
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

/** The reasons why there is no connection, in words for people. @type {Readonly<Record<string, string>>} */
const WORDS = Object.freeze({
  [Reason.Offline]: 'This device has no network.',
  [Reason.Asleep]: 'This page was asleep.',
  [Reason.ConnectFailed]: 'The server cannot be reached.',
  [Reason.Refused]: 'The server refuses this connection.',
  [Reason.ConnectTimeout]: 'The server does not answer.',
  [Reason.NoAnswer]: 'The server does not answer.',
  [Reason.NoAddress]: 'There is no way to sign in at the moment.',
  [Reason.TokenRefused]: 'The server wants a new token.',
  [Reason.ServerRestart]: 'The server is restarting.',
  [Reason.GoingAway]: 'The server is going away.',
  [Reason.ServerClosed]: 'The server ended the connection.',
  [Reason.ServerError]: 'Something failed in the server.',
  [Reason.TryLater]: 'This device did not read fast enough, or the server is busy.',
  [Reason.MessageRefused]: 'The server refused what this page sent.',
  [Reason.Misconfigured]: 'The address of the server cannot be used.',
});

/**
 * @param {{ state: string, reason: string }} client one without a connection
 */
export function reasonWords({ state, reason }) {
  // Attempts go on without a network, and fail for that reason.
  const why = state === State.Suspended && reason !== Reason.Asleep ? Reason.Offline : reason;
  return WORDS[why] ?? 'The connection was lost.';
}

/**
 * Shows the state of one client's connection: beside the title, and in a banner while there is
 * none, with the reason and the seconds until the next attempt.
 */
export class ConnectionStatus {
  #root;
  #label;
  #banner;
  #reason;
  #countdown;
  #retry;
  /** @type {import('../client/index.js').Session<any> | null} */
  #client = null;
  /** @type {(() => void)[]} */
  #listeners = [];
  /** @type {number | undefined} */
  #ticker;
  /** The time of the next attempt, by `performance.now()`. */
  #nextAttempt = 0;
  /** True while a loss of the connection is not made good. */
  #isLost = false;

  /**
   * @param {ParentNode} view
   * @param {string} prefix what the test ids of this view begin with
   */
  constructor(view, prefix = '') {
    this.#root = part(view, `${prefix}connection`);
    this.#label = part(view, `${prefix}connection-state`);
    this.#banner = part(view, `${prefix}connection-banner`);
    this.#reason = part(view, `${prefix}connection-reason`);
    this.#countdown = part(view, `${prefix}connection-countdown`);
    this.#retry = part(view, `${prefix}retry-now`);
    this.#retry.addEventListener('click', () => this.#client?.connect());
  }

  /**
   * @param {import('../client/index.js').Session<any>} client
   */
  follow(client) {
    this.unfollow();
    this.#client = client;
    this.#listeners = [
      client.on('state', () => this.#show()),
      client.on('retry', ({ delayMs }) => this.#count(delayMs)),
    ];
    this.#isLost = false;
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
    setText(this.#label, label);
    // Where the button had the focus, it stays while an attempt is under way: with the banner
    // gone the focus would be nowhere.
    this.#retry.toggleAttribute('data-idle', !canRetry);
    this.#isLost = canRetry || (this.#isLost && this.#client.state === State.Connecting);
    this.#banner.hidden = !this.#isLost;
    this.#banner.dataset.state = state;
    // During an attempt the reason is that of the loss before it.
    if (canRetry) setText(this.#reason, reasonWords(this.#client));
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
      this.#countdown.textContent = seconds > 0 ? `Next attempt in ${seconds} s` : '';
    };
    tick();
    this.#ticker = setInterval(tick, 250);
  }
}
