/**
 * A connection that comes back.
 *
 * @module
 */

import { webSocketAddress } from './address.js';
import { backoffDelay, backoffOptions } from './backoff.js';
import { verdict } from './close-codes.js';
import { Emitter } from './emitter.js';
import { resolveEnvironment } from './environment.js';
import { ClientError, ErrorCode } from './errors.js';
import { parseMessage } from './message.js';
import { Reason, State } from './states.js';

/** @import { BackoffOptions } from './backoff.js' */
/** @import { Environment, EnvironmentOptions, WebSocketLike } from './environment.js' */
/** @import { WireMessage } from './message.js' */

/**
 * The address to connect to, or a function that is asked for it before each attempt, so that
 * a fresh token can be put in. Relative addresses are resolved against the page.
 *
 * A function that fails is asked again after the usual wait, unless it throws a `ClientError`
 * with the code `unauthorized`, which stops the client.
 *
 * @typedef {string | (() => string | Promise<string>)} Address
 */

/**
 * @typedef {object} OwnOptions
 * @property {string | string[]} [protocols] Subprotocols to offer. Default: none.
 * @property {number} [maxReconnectAttempts] Attempts in a row that may fail before the client
 *   gives up. Default: `Infinity`.
 * @property {BackoffOptions} [backoff] Waits between attempts.
 * @property {number} [connectTimeoutMs] How long one attempt may take, the function that gives
 *   the address included, in milliseconds. Default 10,000.
 * @property {number} [minUptimeMs] How long a connection must last, in milliseconds, for the
 *   next wait to be a short one again. Default 5,000.
 */

/** @typedef {OwnOptions & EnvironmentOptions} ClientOptions */

/**
 * @typedef {object} StateChange
 * @property {State} state
 * @property {State} previous
 * @property {Reason} reason
 * @property {number} [code] The close code, where the server or the network closed.
 * @property {string} [closeReason] The text that came with the close code.
 * @property {Error} [error] What went wrong, where the platform or the address function tells.
 */

/** @typedef {Pick<StateChange, 'code' | 'closeReason' | 'error'>} Details */

/**
 * The wait before the next attempt has begun.
 *
 * @typedef {object} Retry
 * @property {number} attempt `reconnectAttempts`: how many in a row it makes, those made while
 *   offline not counted.
 * @property {number} delayMs
 */

/**
 * What happens to the client itself.
 *
 * @typedef {object} LocalEvents
 * @property {WireMessage} message Every message, before its own type's listeners.
 * @property {StateChange} state Every change of state.
 * @property {Retry} retry The wait before the next attempt has begun.
 * @property {ClientError} fault The server sent what is not a JSON object; it was dropped.
 */

/**
 * A connection to one endpoint that speaks JSON objects, and is opened again whenever it is
 * lost.
 *
 * `on(type, listener)` receives the messages whose field `type` is `type`, and the client's
 * own events (`message`, `state`, `retry`, `fault`). A message whose type is the name of one
 * of the client's own events arrives as `message` only.
 *
 * @example
 * const client = new Client('/robust-chat/lobby');
 * client.on('state', ({ state, reason }) => console.log(state, reason));
 * client.on('error', ({ message }) => console.error(message));
 * client.connect();
 *
 * @template {object} [Messages={}] The messages by their `type`.
 * @extends {Emitter<LocalEvents & Messages>}
 */
export class Client extends Emitter {
  /**
   * Events that do not come from the server, so that it cannot forge them.
   *
   * @protected
   * @type {ReadonlySet<unknown>}
   */
  static localEvents = new Set(['message', 'state', 'retry', 'fault']);

  /**
   * Attempts to come back since the connection was last open.
   */
  reconnectAttempts = 0;

  /**
   * Attempts in a row that may fail before the client gives up.
   *
   * @type {number}
   */
  maxReconnectAttempts;

  /**
   * @protected
   * @readonly
   * @type {Environment}
   */
  environment;

  /** @type {() => string | Promise<string>} */
  #address;
  /** @type {string[]} */
  #protocols;
  /** @type {Required<BackoffOptions>} */
  #backoff;
  #connectTimeoutMs;
  #minUptimeMs;

  /** @type {State} */
  #state = State.Closed;
  /** @type {Reason} */
  #reason = Reason.New;
  /** @type {WebSocketLike | null} */
  #socket = null;
  /** The end of an attempt while connecting, of the wait while disconnected. @type {unknown} */
  #timer = null;
  /** Tells an address that arrives late from the one that is waited for. */
  #attempt = 0;
  /** Failures in a row, where a connection that broke at once is one: the backoff's exponent. */
  #failures = 0;
  /** @type {number | null} */
  #openedAt = null;
  #offline = false;

  /**
   * @param {Address} address
   * @param {ClientOptions} [options]
   * @throws {ClientError} `invalid-address`, `invalid-option`, `no-websocket`
   */
  constructor(address, options = {}) {
    super();
    const {
      protocols = [],
      maxReconnectAttempts = Infinity,
      connectTimeoutMs = 10_000,
      minUptimeMs = 5_000,
    } = options;
    if (!(maxReconnectAttempts >= 0 && connectTimeoutMs > 0 && minUptimeMs >= 0)) {
      throw new ClientError(ErrorCode.InvalidOption, 'limits and times must not be negative');
    }
    if (typeof address === 'function') {
      this.#address = address;
    } else {
      const fixed = webSocketAddress(address);
      this.#address = () => fixed;
    }
    this.#protocols = typeof protocols === 'string' ? [protocols] : [...protocols];
    this.#backoff = backoffOptions(options.backoff);
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#minUptimeMs = minUptimeMs;
    this.maxReconnectAttempts = maxReconnectAttempts;
    this.environment = resolveEnvironment(options);
  }

  /**
   * @returns {State}
   */
  get state() {
    return this.#state;
  }

  /**
   * Why the client is in its state.
   *
   * @returns {Reason}
   */
  get reason() {
    return this.#reason;
  }

  /**
   * The WebSocket of the present attempt or connection. Each attempt has its own.
   *
   * @returns {WebSocketLike | null}
   */
  get socket() {
    return this.#socket;
  }

  /**
   * Connects; while waiting for the next attempt, tries at once. Without effect while
   * connecting or connected.
   */
  connect() {
    if (this.#state === State.Connecting || this.#state === State.Connected) return;
    if (this.#state !== State.Disconnected) {
      this.reconnectAttempts = 0;
      this.#failures = 0;
      this.#watchNetwork();
    }
    this.#open(Reason.Connect);
  }

  /**
   * Sends a message, if the connection is open. Nothing is kept for later: what could not go
   * out is the caller's to repeat.
   *
   * @param {object} message Anything that `JSON.stringify` turns into a JSON object.
   * @returns {boolean} Whether it went out. Whether it arrived, only an answer can tell.
   */
  send(message) {
    // The state lags behind the socket while a close is under way.
    if (this.#state !== State.Connected || this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /**
   * Ends the connection, and the wish for one. Events of the server stop at once.
   */
  close() {
    if (this.#state === State.Closed) return;
    this.#stop();
    this.#change(State.Closed, Reason.CloseCalled);
  }

  /**
   * Begins the wait before the next attempt, or gives up when `maxReconnectAttempts` is
   * reached. The client calls this when a connection is lost; override it to decide otherwise.
   */
  attemptReconnect() {
    if (this.#state !== State.Disconnected || this.#timer !== null) return;
    // A user on a train should not use up the attempts in a tunnel. They do go on: the
    // platform may be wrong, and a server on this machine needs no network.
    if (!this.#offline) {
      if (this.reconnectAttempts >= this.maxReconnectAttempts) {
        this.#fail(Reason.AttemptsExhausted);
        return;
      }
      this.reconnectAttempts += 1;
    }
    const delayMs = backoffDelay(this.#failures, this.#backoff, this.environment.random);
    this.#failures += 1;
    this.#startTimer(delayMs, () => this.#open(Reason.Retry));
    this.emit('retry', { attempt: this.reconnectAttempts, delayMs });
  }

  /**
   * @param {Reason} reason
   */
  #open(reason) {
    const attempt = ++this.#attempt;
    this.#startTimer(this.#connectTimeoutMs, () => this.#lose(Reason.ConnectTimeout));
    this.#change(State.Connecting, reason);

    const current = () => attempt === this.#attempt;
    if (!current()) return;
    /** @type {string | Promise<string>} */
    let address;
    try {
      address = this.#address();
    } catch (error) {
      if (current()) this.#withoutAddress(error);
      return;
    }
    // Not awaited when it is there already: `socket` is then set when `connect` returns.
    if (typeof address === 'object') {
      Promise.resolve(address).then(
        (value) => {
          if (current()) this.#dial(value);
        },
        (error) => {
          if (current()) this.#withoutAddress(error);
        },
      );
    } else if (current()) {
      this.#dial(address);
    }
  }

  /**
   * @param {string} address
   */
  #dial(address) {
    const { WebSocket } = this.environment;
    /** @type {WebSocketLike} */
    let socket;
    try {
      const url = webSocketAddress(address);
      socket = this.#protocols.length
        ? new WebSocket(url, this.#protocols)
        : new WebSocket(url);
    } catch (error) {
      this.#fail(Reason.Misconfigured, { error: asError(error) });
      return;
    }
    this.#socket = socket;

    // Listeners stay on a socket that was given up, because the package `ws` throws an `error`
    // event that nobody listens to.
    /** @type {ClientError | undefined} */
    let error;
    const current = () => socket === this.#socket;
    socket.addEventListener('open', () => {
      if (current()) this.#opened();
    });
    socket.addEventListener('message', (event) => {
      if (current()) this.#receive(event.data);
    });
    socket.addEventListener('error', (event) => {
      error = new ClientError(ErrorCode.Transport, event.message || 'the connection failed', {
        cause: event.error,
      });
    });
    socket.addEventListener('close', (event) => {
      if (current()) this.#closed(event.code, event.reason, error);
    });
  }

  #opened() {
    this.#clearTimer();
    this.#offline = false;
    this.#openedAt = this.environment.now();
    this.reconnectAttempts = 0;
    this.#change(State.Connected, Reason.Opened);
  }

  /**
   * @param {unknown} data
   */
  #receive(data) {
    const message = parseMessage(data);
    if (!message) {
      this.emit('fault', new ClientError(ErrorCode.InvalidMessage, 'not a JSON object'));
      return;
    }
    this.emit('message', message);
    const { localEvents } = /** @type {typeof Client} */ (this.constructor);
    // A listener may have closed the client, and after `close` there are no more messages.
    if (
      this.#state === State.Connected &&
      typeof message.type === 'string' &&
      !localEvents.has(message.type)
    ) {
      this.emit(message.type, message);
    }
  }

  /**
   * @param {number} code
   * @param {string} closeReason
   * @param {ClientError | undefined} error
   */
  #closed(code, closeReason, error) {
    const { reconnect, reason } = verdict(code);
    /** @type {Details} */
    const details = { code, closeReason, ...(error && { error }) };
    if (!reconnect) {
      this.#fail(reason, details);
    } else if (this.#state === State.Connecting) {
      this.#lose(Reason.ConnectFailed, details);
    } else {
      this.#lose(reason, details);
    }
  }

  /**
   * @param {unknown} error
   */
  #withoutAddress(error) {
    const details = { error: asError(error) };
    const code = error instanceof ClientError ? error.code : null;
    if (code === ErrorCode.Unauthorized) {
      this.#fail(Reason.Unauthorized, details);
    } else if (code === ErrorCode.InvalidAddress) {
      this.#fail(Reason.Misconfigured, details);
    } else {
      this.#lose(Reason.NoAddress, details);
    }
  }

  /**
   * The connection or the attempt is over, and the client will come back.
   *
   * @param {Reason} reason
   * @param {Details} [details]
   */
  #lose(reason, details) {
    // Not when the connection opens: a server that accepts and closes at once would be called
    // twice a second by each of its clients.
    if (this.#openedAt !== null && this.environment.now() - this.#openedAt >= this.#minUptimeMs) {
      this.#failures = 0;
    }
    this.#release();
    this.#change(State.Disconnected, reason, details);
    this.attemptReconnect();
  }

  /**
   * @param {Reason} reason
   * @param {Details} [details]
   */
  #fail(reason, details) {
    this.#stop();
    this.#change(State.Failed, reason, details);
  }

  #stop() {
    this.#unwatchNetwork();
    this.#release();
  }

  /** Lets go of the socket, the timer and an address under way. */
  #release() {
    this.#clearTimer();
    this.#attempt += 1;
    this.#openedAt = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  /**
   * @param {State} state
   * @param {Reason} reason
   * @param {Details} [details]
   */
  #change(state, reason, details) {
    const previous = this.#state;
    this.#state = state;
    this.#reason = reason;
    this.emit('state', { state, previous, reason, ...details });
  }

  #watchNetwork() {
    // Not read from `navigator.onLine`, which is false on a machine that has only itself.
    this.#offline = false;
    this.environment.network?.addEventListener('online', this.#onOnline);
    this.environment.network?.addEventListener('offline', this.#onOffline);
  }

  #unwatchNetwork() {
    this.environment.network?.removeEventListener('online', this.#onOnline);
    this.environment.network?.removeEventListener('offline', this.#onOffline);
  }

  #onOnline = () => {
    this.#offline = false;
    this.#failures = 0;
    // Without a timer, somebody decided not to come back.
    if (this.#state === State.Disconnected && this.#timer !== null) this.#open(Reason.Online);
  };

  #onOffline = () => {
    this.#offline = true;
    // A socket whose network is gone stays open for minutes, and what is sent is lost.
    if (this.#state === State.Connecting || this.#state === State.Connected) {
      this.#lose(Reason.Offline);
    }
  };

  /**
   * @param {number} ms
   * @param {() => void} callback
   */
  #startTimer(ms, callback) {
    this.#clearTimer();
    this.#timer = this.environment.timers.setTimeout(() => {
      this.#timer = null;
      callback();
    }, ms);
  }

  #clearTimer() {
    if (this.#timer !== null) this.environment.timers.clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** `WebSocket.OPEN`, which not every stand-in for a WebSocket has. */
const OPEN = 1;

/**
 * @param {unknown} value
 * @returns {Error}
 */
function asError(value) {
  return value instanceof Error ? value : new Error(String(value));
}
