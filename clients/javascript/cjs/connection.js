"use strict";
var __create = Object.create;
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __getProtoOf = Object.getPrototypeOf;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toESM = (mod, isNodeMode, target) => (target = mod != null ? __create(__getProtoOf(mod)) : {}, __copyProps(
  // If the importer is in node compatibility mode or this is not an ESM
  // file that has been converted to a CommonJS file using a Babel-
  // compatible transform (i.e. "__esModule" has not been set), then set
  // "default" to the CommonJS "module.exports" for node compatibility.
  isNodeMode || !mod || !mod.__esModule ? __defProp(target, "default", { value: mod, enumerable: true }) : target,
  mod
));
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);
var connection_exports = {};
__export(connection_exports, {
  Connection: () => Connection
});
module.exports = __toCommonJS(connection_exports);
var import_address = require("./address.js");
var import_backoff = require("./backoff.js");
var import_close_codes = require("./close-codes.js");
var import_deadline = require("./deadline.js");
var import_emitter = require("./emitter.js");
var import_environment = require("./environment.js");
var import_errors = require("./errors.js");
var import_wake = require("./wake.js");
class Connection extends import_emitter.Emitter {
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
  #state = "closed";
  /** @type {Reason} */
  #reason = "new";
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
  #dialled = "";
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
  #unwatch = () => {
  };
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
      connectTimeoutMs = 1e4,
      minUptimeMs = 5e3,
      patienceMs = 0
    } = options;
    (0, import_errors.checkOptions)(
      maxReconnectAttempts >= 0 && connectTimeoutMs > 0 && minUptimeMs >= 0 && patienceMs >= 0
    );
    if (typeof address === "function") {
      this.#address = address;
    } else {
      const fixed = (0, import_address.webSocketAddress)(address);
      this.#address = (token) => (0, import_address.withToken)(fixed, token);
    }
    this.token = options.token;
    this.#protocols = protocols?.length ? [protocols].flat() : void 0;
    this.#tokenIn = options.tokenIn;
    this.hasTickets = this.#tokenIn === "ticket";
    this.#backoff = (0, import_backoff.backoffOptions)(options.backoff);
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#minUptimeMs = minUptimeMs;
    this.#patienceMs = patienceMs;
    this.maxReconnectAttempts = maxReconnectAttempts;
    this.#WebSocket = options.WebSocket;
    this.environment = (0, import_environment.resolveEnvironment)(options);
    this.#timer = new import_deadline.Deadline(this.environment.timers);
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
    if (this.#state === "connecting" || this.#state === "connected") return;
    this.#WebSocket = (0, import_environment.findWebSocket)(this.#WebSocket);
    if (!this.#waiting) {
      this.reconnectAttempts = 0;
      this.#failures = 0;
      this.#tokenRefused = false;
      this.#watch();
    }
    this.#open("connect");
  }
  /**
   * Ends the connection, and the wish for one. Events of the server stop at once.
   */
  close() {
    this.#stop();
    if (this.#state !== "closed") this.#change("closed", "close-called");
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
    let delayMs = advice ?? (0, import_backoff.backoffDelay)(this.#failures++, this.#backoff, random);
    if (!this.#offline && advice === null) {
      const max = this.maxReconnectAttempts;
      if (this.reconnectAttempts === 0) this.#lostAt = now();
      const lostMs = now() - this.#lostAt;
      if (this.reconnectAttempts >= max && (max <= 0 || lostMs >= this.#patienceMs)) {
        this.fail("attempts-exhausted");
        return;
      }
      this.reconnectAttempts = Math.min(this.reconnectAttempts + 1, max);
      const due = this.#patienceMs * (this.reconnectAttempts / max) ** 3 * (1 + random() / 4);
      delayMs = Math.max(delayMs, due - lostMs);
    }
    this.#timer.start(delayMs, () => this.#open("retry"));
    this.emit("retry", { attempt: this.reconnectAttempts, delayMs });
  }
  /**
   * The connection is open, and nobody was told yet.
   *
   * @protected
   */
  opened() {
  }
  /**
   * Something came.
   *
   * @protected
   * @param {unknown} _data
   */
  received(_data) {
  }
  /**
   * The connection, or the attempt, is over.
   *
   * @protected
   * @param {boolean} _isEnd Whether the client will not come back by itself.
   * @param {number} [_code] The close code.
   */
  released(_isEnd, _code) {
  }
  /**
   * An attempt goes to this address.
   *
   * @protected
   * @param {string} _address
   * @param {MaybeToken} _token
   * @param {TokenSource} _source Where the token came from.
   */
  dialling(_address, _token, _source) {
  }
  /**
   * @protected
   * @returns {MaybeToken | Promise<MaybeToken>}
   */
  askToken = () => typeof this.token === "function" ? this.token() : this.token;
  /**
   * The page is shown again, or the machine woke, and the connection looks open.
   *
   * @protected
   * @param {boolean} _slept Whether it is certain that time was missed.
   */
  awake(_slept) {
  }
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
    if (this.#lasted) {
      this.#failures = 0;
      this.#tokenRefused = false;
    }
    this.#release(false, details?.code);
    const suspended = this.#offline || reason === "asleep";
    this.#change(suspended ? "suspended" : "disconnected", reason, details);
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
    this.#change("failed", reason, details);
  }
  /**
   * @param {Reason} reason
   */
  #open(reason) {
    const signal = this.#next();
    this.#timer.start(this.#connectTimeoutMs, () => this.lose("connect-timeout"));
    this.#change("connecting", reason);
    const current = () => !signal.aborted;
    if (!current()) return;
    const failed = (error) => {
      if (current()) this.#withoutAddress(error);
    };
    const ask = () => {
      const source = this.token;
      soon(this.askToken, failed, (token) => {
        if (!current()) return;
        if (this.token !== source) return ask();
        this.#bearer = this.#tokenIn === "subprotocol" && token && BEARER.test(token) && token;
        const fields = token && (this.hasTickets ? { ticket: token } : this.#tokenIn === "message" && { auth: "message" });
        soon(() => this.#address(this.#bearer || fields ? null : token), failed, (address) => {
          if (current()) this.#dial(fields ? (0, import_address.withFields)(address, fields) : address, token, source);
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
    let socket;
    try {
      this.#dialled = (0, import_address.webSocketAddress)(address);
      this.#token = token;
      this.#tokenTimes = this.#times;
      const { signal } = this.#attempt;
      this.dialling(address, token, source);
      if (signal.aborted) return;
      const Socket = (
        /** @type {WebSocketConstructor} */
        this.#WebSocket
      );
      const bearer = this.#bearer && [...this.#protocols ?? ["nextrush.v1"], `nextrush.bearer.${token}`];
      socket = new Socket(this.#dialled, bearer || this.#protocols);
    } catch (error2) {
      this.fail("misconfigured", { error: asError(error2) });
      return;
    }
    this.#socket = socket;
    let error;
    const listen = (type, listener) => socket.addEventListener(type, (event) => {
      if (socket === this.#socket) listener(event);
    });
    listen("open", () => this.#opened());
    listen("message", ({ data }) => this.received(data));
    listen("error", (event) => {
      error = new import_errors.ClientError("transport", event.message || void 0, {
        cause: event.error
      });
    });
    listen("close", ({ code, reason }) => this.#closed(code, reason, error));
  }
  #opened() {
    this.#timer.clear();
    this.#offline = false;
    this.#openedAt = this.environment.now();
    this.reconnectAttempts = 0;
    const token = this.#tokenIn === "message" && this.#token;
    if (token) this.#socket?.send(JSON.stringify({ type: "auth", token }));
    this.#change("connected", "opened");
  }
  /**
   * @param {number} code
   * @param {string} text
   * @param {ClientError | undefined} error
   */
  #closed(code, text, error) {
    const reason = (0, import_close_codes.closeReason)(code);
    const details = { code, closeReason: text, ...error && { error } };
    this.advise(/reconnect after (\d+) ms/.exec(text)?.[1]);
    if (reason === "unauthorized") {
      this.#tokenEnded(reason, details);
    } else if (this.#state === "connecting") {
      this.lose("connect-failed", details);
      void this.#inquire();
    } else {
      this.lose(reason, details);
    }
  }
  /** Asks why the handshake failed, and heeds the answer while the next attempt is waited for. */
  async #inquire() {
    const { fetch } = this.environment;
    const failures = this.#failures;
    if (!fetch || !this.#waiting || this.#offline || (failures & failures - 1) !== 0) return;
    if (this.hasTickets) return;
    const { signal } = this.#attempt;
    const refusal = await Promise.resolve().then(() => __toESM(require("./handshake.js"), 1)).then(({ refusalOf }) => refusalOf(fetch, this.#dialled, signal, this.#bearer)).catch(() => null);
    if (!refusal || signal.aborted) return;
    const { answer, verdict } = refusal;
    const details = { error: (0, import_errors.refused)(answer) };
    const isToken = verdict === "unauthorized" && typeof this.token === "function" && !this.#tokenRefused;
    if (verdict && !isToken) {
      this.fail(verdict, details);
      return;
    }
    this.#tokenRefused ||= isToken;
    this.#change(this.#state, isToken ? "token-refused" : "refused", details);
    if (signal.aborted || !this.advise(answer.retryAfterMs)) return;
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
    const stale = this.#token === this.#endedToken && !this.#lasted;
    const late = this.#times.some((time, i) => time - Number(this.#tokenTimes[i]) > FRESH_MS);
    const isRefused = !(this.#lasted || this.admitted || late) || stale;
    this.#endedToken = this.#token;
    if (typeof this.token !== "function" || isRefused && this.#tokenRefused) {
      this.fail(reason, details);
      return;
    }
    this.lose("token-refused", details);
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
    const { code } = (
      /** @type {Partial<ClientError>} */
      details.error
    );
    if (code === "unauthorized") {
      this.fail("unauthorized", details);
    } else if (code === "invalid-address") {
      this.fail("misconfigured", details);
    } else {
      this.lose("no-address", details);
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
    socket?.close(1e3);
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
    if (state === "connected") this.opened();
    this.emit("state", { state, previous, reason, ...details });
  }
  /** True while the client is to come back by itself. */
  get #waiting() {
    return this.#state === "disconnected" || this.#state === "suspended";
  }
  #watch() {
    this.#offline = false;
    this.#unwatch = (0, import_wake.watchPlatform)(this.environment, {
      online: () => {
        this.#offline = false;
        this.#failures = 0;
        this.#hurry("online");
      },
      offline: () => {
        this.#offline = true;
        this.#suspend("offline");
      },
      asleep: () => this.#suspend("asleep"),
      awake: (slept) => {
        if (this.#state === "connected") this.awake(slept);
        else this.#hurry("awake");
      }
    });
  }
  /**
   * Ends the wait before the next attempt.
   *
   * @param {Reason} reason
   */
  #hurry(reason) {
    if (this.#waiting && this.#timer.set && !this.#advised) this.#open(reason);
  }
  /** @param {Reason} reason */
  #suspend(reason) {
    if (this.#state === "connecting" || this.#state === "connected") this.lose(reason);
  }
}
const BEARER = /^[\w.~+-]+$/;
const FRESH_MS = 15e3;
const LONGEST_ADVICE_MS = 3e5;
function soon(get, failed, next) {
  let value;
  try {
    value = get();
  } catch (error) {
    failed(error);
    return;
  }
  if (typeof /** @type {any} */
  value?.then === "function") {
    Promise.resolve(value).then(next, failed);
  } else {
    next(
      /** @type {T} */
      value
    );
  }
}
function asError(value) {
  return value instanceof Error ? value : new Error(String(value));
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Connection
});
