/**
 * A connection that comes back.
 *
 * @module
 */

import { webSocketAddress, withFields, withToken } from './address.js';
import { backoffDelay, backoffOptions } from './backoff.js';
import { closeReason } from './close-codes.js';
import { Deadline } from './deadline.js';
import { Emitter } from './emitter.js';
import { findWebSocket, resolveEnvironment } from './environment.js';
import { ClientError, checkOptions, refused } from './errors.js';
import { watchPlatform } from './wake.js';

/** @import { BackoffOptions } from './backoff.js' */
/** @import { Environment, EnvironmentOptions, WebSocketConstructor, WebSocketLike } from './environment.js' */
/** @import { MaybeToken, TokenSource } from './token.js' */
/** @import { Reason, State } from './states.js' */

/**
 * The address to connect to, or a function that is asked for it before each attempt, and given
 * the token. To a fixed address the token is added as the query parameter `token`. Relative
 * addresses are resolved against the page.
 *
 * A function that fails is asked again after the usual wait, unless it throws a `ClientError`
 * with the code `unauthorized`, which stops the client.
 *
 * @typedef {string | ((token: MaybeToken) => string | Promise<string>)} Address
 */

/**
 * @typedef {object} OwnOptions
 * @property {TokenSource} [token] A JWT, or a function that gets one before each attempt and
 *   before the present one expires. Default: none.
 * @property {string | string[]} [protocols] Subprotocols to offer. Default: none.
 * @property {'address' | 'subprotocol' | 'ticket' | 'message'} [tokenIn] How the token goes to the server: in the address, as the
 *   query parameter `token`, which proxies and browsers write into their logs; or as the subprotocol
 *   `nextrush.bearer.<token>`, which a server must know, or browsers cannot connect. A token with other
 *   characters than letters, digits and `_.~+-` goes in the address. With `ticket` the function gets a ticket,
 *   which is good for one attempt and goes in the address as `ticket`. With `message` the token is the first
 *   message, and the address has `auth=message`: a server must allow it. Default `address`.
 * @property {number} [maxReconnectAttempts] Attempts in a row that may fail before the client
 *   gives up. Default: `Infinity`.
 * @property {number} [patienceMs] How long attempts go on at least, in milliseconds, where their
 *   number is limited: they are spread over this time. Default 0; `ChatClient` 22,000.
 * @property {BackoffOptions} [backoff] Waits between attempts.
 * @property {number} [connectTimeoutMs] How long one attempt may take, the function that gives
 *   the address included, in milliseconds. Default 10,000.
 * @property {number} [minUptimeMs] How long a connection must last, in milliseconds, for the
 *   next wait to be a short one again. Default 5,000.
 */

/** @typedef {OwnOptions & EnvironmentOptions} ConnectionOptions */

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
 * Events of the connection.
 *
 * @typedef {object} ConnectionEvents
 * @property {StateChange} state Every change of state.
 * @property {Retry} retry The wait before the next attempt has begun.
 */

/**
 * A connection to one endpoint, which is opened again whenever it is lost. What goes over it is
 * the affair of those who extend it.
 *
 * @template {object} [Events={}]
 * @extends {Emitter<ConnectionEvents & Events>}
 */
export class Connection extends Emitter {
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
   * The token of the next attempt to connect, or the function that gets it.
   *
   * @type {TokenSource}
   */
  token;

  /**
   * @protected
   * @readonly
   * @type {Environment}
   */
  environment;

  /**
   * Says that the function for tokens gets tickets.
   *
   * @protected
   * @readonly
   * @type {boolean}
   */
  hasTickets;

  /** @type {(token: MaybeToken) => string | Promise<string>} */
  #address;
  /** @type {WebSocketConstructor | undefined} */
  #WebSocket;
  /** @type {string[] | undefined} */
  #protocols;
  #tokenIn;
  /** The token of the present attempt, if it is not in the address. @type {MaybeToken | false} */
  #bearer;
  /** @type {Required<BackoffOptions>} */
  #backoff;
  #connectTimeoutMs;
  #minUptimeMs;
  #patienceMs;

  /** @type {State} */
  #state = 'closed';
  /** @type {Reason} */
  #reason = 'new';
  /** @type {WebSocketLike | null} */
  #socket = null;
  /** The end of an attempt while connecting, of the wait while disconnected. */
  #timer;
  /** The present attempt, until it is given up or there is another one. */
  #attempt = new AbortController();
  /** Failures in a row, where a connection that broke at once is one: the backoff's exponent. */
  #failures = 0;
  /** The time at which the connection was opened; `Infinity`: not yet. */
  #openedAt = Infinity;
  /** The address of the present attempt. */
  #dialled = '';
  #offline = false;
  /** The time of the first failure of those that are counted. */
  #lostAt = 0;
  /** The server's wish for the next wait, in milliseconds. @type {number | null} */
  #advice = null;
  /** True while the present wait is the server's wish. */
  #advised = false;
  /** True after a refused token, while the function has its second chance. */
  #tokenRefused = false;
  /** @type {MaybeToken} */
  #token;
  /** The times, by both clocks, at which it was given: either may not count sleep. */
  #tokenTimes = [0, 0];
  /** The token with which the server last ended a connection. @type {MaybeToken} */
  #endedToken;
  /**
   * True when the server has shown on this connection that it accepted the token.
   *
   * @protected
   */
  admitted = false;
  /** @type {() => void} */
  #unwatch = () => {};

  /**
   * @param {Address} address
   * @param {ConnectionOptions} [options]
   * @throws {ClientError} `invalid-address`, `invalid-option`
   */
  constructor(address, options = {}) {
    super();
    const {
      protocols,
      maxReconnectAttempts = Infinity,
      connectTimeoutMs = 10_000,
      minUptimeMs = 5_000,
      patienceMs = 0,
    } = options;
    checkOptions(
      maxReconnectAttempts >= 0 && connectTimeoutMs > 0 && minUptimeMs >= 0 && patienceMs >= 0,
    );
    if (typeof address === 'function') {
      this.#address = address;
    } else {
      const fixed = webSocketAddress(address);
      this.#address = (token) => withToken(fixed, token);
    }
    this.token = options.token;
    this.#protocols = protocols?.length ? [protocols].flat() : undefined;
    this.#tokenIn = options.tokenIn;
    this.hasTickets = this.#tokenIn === 'ticket';
    this.#backoff = backoffOptions(options.backoff);
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#minUptimeMs = minUptimeMs;
    this.#patienceMs = patienceMs;
    this.maxReconnectAttempts = maxReconnectAttempts;
    this.#WebSocket = options.WebSocket;
    this.environment = resolveEnvironment(options);
    this.#timer = new Deadline(this.environment.timers);
  }

  /**
   * @returns {State}
   */
  get state() {
    return this.#state;
  }

  /**
   * The reason for the present state.
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
   *
   * @throws {ClientError} `no-websocket`
   */
  connect() {
    if (this.#state === 'connecting' || this.#state === 'connected') return;
    this.#WebSocket = findWebSocket(this.#WebSocket);
    if (!this.#waiting) {
      this.reconnectAttempts = 0;
      this.#failures = 0;
      this.#tokenRefused = false;
      this.#watch();
    }
    this.#open('connect');
  }

  /**
   * Ends the connection, and the wish for one. Events of the server stop at once.
   */
  close() {
    this.#stop();
    if (this.#state !== 'closed') this.#change('closed', 'close-called');
  }

  /**
   * Begins the wait before the next attempt, or gives up when `maxReconnectAttempts` is
   * reached. The client calls this when a connection is lost; override it to decide otherwise.
   */
  attemptReconnect() {
    if (!this.#waiting || this.#timer.set) return;
    const { random, now } = this.environment;
    const advice = this.#advice;
    this.#advice = null;
    this.#advised = advice !== null;
    let delayMs = advice ?? backoffDelay(this.#failures++, this.#backoff, random);
    // A user on a train should not use up the attempts in a tunnel. They do go on: the
    // platform may be wrong, and a server on this machine needs no network. And a server that says
    // when to come back is there.
    if (!this.#offline && advice === null) {
      const max = this.maxReconnectAttempts;
      if (this.reconnectAttempts === 0) this.#lostAt = now();
      const lostMs = now() - this.#lostAt;
      if (this.reconnectAttempts >= max && (max <= 0 || lostMs >= this.#patienceMs)) {
        this.fail('attempts-exhausted');
        return;
      }
      this.reconnectAttempts = Math.min(this.reconnectAttempts + 1, max);
      // The last attempt is not to come too early, if there are only so many. The first ones come
      // soon: most losses are short. And not all clients at the same moment.
      const due = this.#patienceMs * (this.reconnectAttempts / max) ** 3 * (1 + random() / 4);
      delayMs = Math.max(delayMs, due - lostMs);
    }
    this.#timer.start(delayMs, () => this.#open('retry'));
    this.emit('retry', { attempt: this.reconnectAttempts, delayMs });
  }

  /**
   * The connection is open, and nobody was told yet.
   *
   * @protected
   */
  opened() {}

  /**
   * Something came.
   *
   * @protected
   * @param {unknown} _data
   */
  received(_data) {}

  /**
   * The connection, or the attempt, is over.
   *
   * @protected
   * @param {boolean} _isEnd Whether the client will not come back by itself.
   * @param {number} [_code] The close code.
   */
  released(_isEnd, _code) {}

  /**
   * An attempt goes to this address.
   *
   * @protected
   * @param {string} _address
   * @param {MaybeToken} _token
   * @param {TokenSource} _source Where the token came from.
   */
  dialling(_address, _token, _source) {}

  /**
   * @protected
   * @returns {MaybeToken | Promise<MaybeToken>}
   */
  askToken = () => (typeof this.token === 'function' ? this.token() : this.token);

  /**
   * The page is shown again, or the machine woke, and the connection looks open.
   *
   * @protected
   * @param {boolean} _slept Whether it is certain that time was missed.
   */
  awake(_slept) {}

  /**
   * The server says when to come back.
   *
   * @protected
   * @param {unknown} ms
   * @returns {boolean} Whether it does.
   */
  advise(ms) {
    const advice = Number(ms ?? NaN);
    if (!(advice >= 0)) return false;
    this.#advice = Math.min(advice, LONGEST_ADVICE_MS);
    return true;
  }

  /**
   * The connection or the attempt is over, and the client will come back.
   *
   * @protected
   * @param {Reason} reason
   * @param {Details} [details]
   */
  lose(reason, details) {
    // Not when the connection opens: a server that accepts and closes at once would be called
    // twice a second by each of its clients.
    if (this.#lasted) {
      this.#failures = 0;
      this.#tokenRefused = false;
    }
    this.#release(false, details?.code);
    const suspended = this.#offline || reason === 'asleep';
    this.#change(suspended ? 'suspended' : 'disconnected', reason, details);
    this.attemptReconnect();
  }

  /**
   * The client gives up.
   *
   * @protected
   * @param {Reason} reason
   * @param {Details} [details]
   */
  fail(reason, details) {
    this.#stop();
    this.#change('failed', reason, details);
  }

  /**
   * @param {Reason} reason
   */
  #open(reason) {
    const signal = this.#next();
    this.#timer.start(this.#connectTimeoutMs, () => this.lose('connect-timeout'));
    this.#change('connecting', reason);

    const current = () => !signal.aborted;
    if (!current()) return;
    const failed = (/** @type {unknown} */ error) => {
      if (current()) this.#withoutAddress(error);
    };
    // Nothing is awaited that is there already: `socket` is then set when `connect` returns.
    const ask = () => {
      const source = this.token;
      soon(this.askToken, failed, (token) => {
        if (!current()) return;
        // It was replaced meanwhile, perhaps by that of somebody else.
        if (this.token !== source) return ask();
        this.#bearer = this.#tokenIn === 'subprotocol' && token && BEARER.test(token) && token;
        /** @type {Record<string, string> | false | null | undefined | ''} */
        const fields = token && (this.hasTickets ? { ticket: token } : this.#tokenIn === 'message' && { auth: 'message' });
        soon(() => this.#address(this.#bearer || fields ? null : token), failed, (address) => {
          if (current()) this.#dial(fields ? withFields(address, fields) : address, token, source);
        });
      });
    };
    ask();
  }

  /**
   * @param {string} address
   * @param {MaybeToken} token
   * @param {TokenSource} source
   */
  #dial(address, token, source) {
    /** @type {WebSocketLike} */
    let socket;
    try {
      this.#dialled = webSocketAddress(address);
      this.#token = token;
      this.#tokenTimes = this.#times;
      const { signal } = this.#attempt;
      this.dialling(address, token, source);
      // Whoever was told of it may have closed the client.
      if (signal.aborted) return;
      const Socket = /** @type {WebSocketConstructor} */ (this.#WebSocket);
      // Never alone: the server chooses one, and not this one.
      const bearer = this.#bearer && [...(this.#protocols ?? ['nextrush.v1']), `nextrush.bearer.${token}`];
      socket = new Socket(this.#dialled, bearer || this.#protocols);
    } catch (error) {
      this.fail('misconfigured', { error: asError(error) });
      return;
    }
    this.#socket = socket;

    // Listeners stay on a socket that was given up, because the package `ws` throws an `error`
    // event that nobody listens to.
    /** @type {ClientError | undefined} */
    let error;
    /** @type {(type: string, listener: (event: any) => void) => void} */
    const listen = (type, listener) =>
      socket.addEventListener(type, (event) => {
        if (socket === this.#socket) listener(event);
      });
    listen('open', () => this.#opened());
    listen('message', ({ data }) => this.received(data));
    listen('error', (event) => {
      error = new ClientError('transport', event.message || undefined, {
        cause: event.error,
      });
    });
    listen('close', ({ code, reason }) => this.#closed(code, reason, error));
  }

  #opened() {
    this.#timer.clear();
    this.#offline = false;
    this.#openedAt = this.environment.now();
    this.reconnectAttempts = 0;
    // Before anybody learns of it: nothing may go ahead.
    const token = this.#tokenIn === 'message' && this.#token;
    if (token) this.#socket?.send(JSON.stringify({ type: 'auth', token }));
    this.#change('connected', 'opened');
  }

  /**
   * @param {number} code
   * @param {string} text
   * @param {ClientError | undefined} error
   */
  #closed(code, text, error) {
    const reason = closeReason(code);
    /** @type {Details} */
    const details = { code, closeReason: text, ...(error && { error }) };
    this.advise(/reconnect after (\d+) ms/.exec(text)?.[1]);
    if (reason === 'unauthorized') {
      this.#tokenEnded(reason, details);
    } else if (this.#state === 'connecting') {
      this.lose('connect-failed', details);
      void this.#inquire();
    } else {
      this.lose(reason, details);
    }
  }

  /** Asks why the handshake failed, and heeds the answer while the next attempt is waited for. */
  async #inquire() {
    const { fetch } = this.environment;
    const failures = this.#failures;
    // Ever less often: where it is the line, there is nothing to be learnt.
    if (!fetch || !this.#waiting || this.#offline || (failures & (failures - 1)) !== 0) return;
    // The attempt has used its ticket up: it would be refused now, whatever the reason was.
    if (this.hasTickets) return;
    const { signal } = this.#attempt;
    // Loaded when a handshake fails: most never do.
    const refusal = await import('./handshake.js')
      .then(({ refusalOf }) => refusalOf(fetch, this.#dialled, signal, this.#bearer))
      .catch(() => null);
    if (!refusal || signal.aborted) return;
    const { answer, verdict } = refusal;
    const details = { error: refused(answer) };
    const isToken = verdict === 'unauthorized' && typeof this.token === 'function' && !this.#tokenRefused;
    if (verdict && !isToken) {
      this.fail(verdict, details);
      return;
    }
    this.#tokenRefused ||= isToken;
    this.#change(this.#state, isToken ? 'token-refused' : 'refused', details);
    if (signal.aborted || !this.advise(answer.retryAfterMs)) return;
    // The server is there: the attempt that it prescribes is none of those that are counted.
    if (this.reconnectAttempts > 0) this.reconnectAttempts -= 1;
    this.#failures -= 1;
    this.#timer.clear();
    this.attemptReconnect();
  }

  /**
   * The server ended the connection because of its token, or its user.
   *
   * @param {Reason} reason
   * @param {Details} details
   */
  #tokenEnded(reason, details) {
    // A token that was accepted has expired, or an operator ended the connection: that is no refusal,
    // however often it happens, unless the function has nothing new to give.
    const stale = this.#token === this.#endedToken && !this.#lasted;
    // Asleep during a handshake, a machine comes with a token that has expired on the way.
    const late = this.#times.some((time, i) => time - Number(this.#tokenTimes[i]) > FRESH_MS);
    const isRefused = !(this.#lasted || this.admitted || late) || stale;
    this.#endedToken = this.#token;
    if (typeof this.token !== 'function' || (isRefused && this.#tokenRefused)) {
      this.fail(reason, details);
      return;
    }
    // It may have expired on the way; a second refusal in a row is meant.
    this.lose('token-refused', details);
    this.#tokenRefused = isRefused;
  }

  get #times() {
    const { now, date } = this.environment;
    return [now(), date()];
  }

  /** True if the connection is no short one. */
  get #lasted() {
    return this.environment.now() - this.#openedAt >= this.#minUptimeMs;
  }

  /**
   * @param {unknown} error
   */
  #withoutAddress(error) {
    const details = { error: asError(error) };
    // By its code, not its class: a bundle may hold this package twice.
    const { code } = /** @type {Partial<ClientError>} */ (details.error);
    if (code === 'unauthorized') {
      this.fail('unauthorized', details);
    } else if (code === 'invalid-address') {
      this.fail('misconfigured', details);
    } else {
      this.lose('no-address', details);
    }
  }

  #stop() {
    this.#unwatch();
    this.#advice = null;
    this.#release(true);
  }

  /**
   * Lets go of the socket, the timer and an address under way.
   *
   * @param {boolean} isEnd
   * @param {number} [code]
   */
  #release(isEnd, code) {
    this.#timer.clear();
    this.#next();
    this.#openedAt = Infinity;
    this.admitted = false;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    this.released(isEnd, code);
  }

  /** Ends what belongs to the last attempt. @returns {AbortSignal} The end of the next one. */
  #next() {
    this.#attempt.abort();
    this.#attempt = new AbortController();
    return this.#attempt.signal;
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
    if (state === 'connected') this.opened();
    this.emit('state', { state, previous, reason, ...details });
  }

  /** True while the client is to come back by itself. */
  get #waiting() {
    return this.#state === 'disconnected' || this.#state === 'suspended';
  }

  #watch() {
    // Not read from `navigator.onLine`, which is false on a machine that has only itself.
    this.#offline = false;
    this.#unwatch = watchPlatform(this.environment, {
      online: () => {
        this.#offline = false;
        this.#failures = 0;
        this.#hurry('online');
      },
      offline: () => {
        this.#offline = true;
        // A socket whose network is gone stays open for minutes, and what is sent is lost.
        this.#suspend('offline');
      },
      asleep: () => this.#suspend('asleep'),
      awake: (slept) => {
        if (this.#state === 'connected') this.awake(slept);
        else this.#hurry('awake');
      },
    });
  }

  /**
   * Ends the wait before the next attempt.
   *
   * @param {Reason} reason
   */
  #hurry(reason) {
    // Without a timer, somebody decided not to come back. And a server that shuts down has told
    // each client its time.
    if (this.#waiting && this.#timer.set && !this.#advised) this.#open(reason);
  }

  /** @param {Reason} reason */
  #suspend(reason) {
    if (this.#state === 'connecting' || this.#state === 'connected') this.lose(reason);
  }
}

/** The tokens that can be the end of a subprotocol's name, as every JWT (RFC 9110 §5.6.2), and a little less. */
const BEARER = /^[\w.~+-]+$/;

/** A token that was given longer ago may have expired before it was used. */
const FRESH_MS = 15_000;

/** No server may keep its clients away for longer than this. */
const LONGEST_ADVICE_MS = 300_000;

/**
 * Calls `next` with what `get` gives: at once, unless it is a promise.
 *
 * @template T
 * @param {() => T | Promise<T>} get
 * @param {(error: unknown) => void} failed
 * @param {(value: T) => void} next
 */
function soon(get, failed, next) {
  /** @type {T | Promise<T>} */
  let value;
  try {
    value = get();
  } catch (error) {
    failed(error);
    return;
  }
  // Not only the platform's own promises.
  if (typeof (/** @type {any} */ (value)?.then) === 'function') {
    Promise.resolve(value).then(next, failed);
  } else {
    next(/** @type {T} */ (value));
  }
}

/**
 * @param {unknown} value
 * @returns {Error}
 */
function asError(value) {
  return value instanceof Error ? value : new Error(String(value));
}
