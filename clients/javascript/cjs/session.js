"use strict";
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
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
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);
var session_exports = {};
__export(session_exports, {
  Session: () => Session
});
module.exports = __toCommonJS(session_exports);
var import_connection = require("./connection.js");
var import_deadline = require("./deadline.js");
var import_errors = require("./errors.js");
var import_message = require("./message.js");
var import_pulse = require("./pulse.js");
var import_questions = require("./questions.js");
var import_size_limit = require("./size-limit.js");
var import_token = require("./token.js");
class Session extends import_connection.Connection {
  /**
   * Events that do not come from the server, so that it cannot forge them.
   *
   * @protected
   * @type {ReadonlySet<unknown>}
   */
  static localEvents = /* @__PURE__ */ new Set(["message", "state", "retry", "fault", "restored"]);
  /**
   * Makes the requests of a client that has no outbox.
   *
   * @internal
   * @type {RequestKeeper['requests']}
   */
  static requests = (options) => new import_questions.Questions(options);
  /**
   * @protected
   * @readonly
   * @type {Questions}
   */
  requests;
  /**
   * @protected
   * @readonly
   * @type {Pulse}
   */
  pulse;
  /** The functions that answer the server's requests, by their names. @type {Map<string, (data: any) => unknown>} */
  #handlers = /* @__PURE__ */ new Map();
  #answerTimeoutMs;
  #repeatWindowMs;
  #greets;
  /** The longest message that the server takes. */
  #size = new import_size_limit.SizeLimit();
  /** The time to replace the token. */
  #renewal;
  /** The present token, as it was last renewed, and its end. @type {MaybeToken} */
  #renewed;
  #expiry = NaN;
  /** By how much this machine's clock is fast, as far as the server has told, in milliseconds. */
  #clockError = 0;
  /** The end of a wait that the server imposed because there were too many messages. */
  #pause;
  /** The last message that only asks whether the connection lives; '': it is answered. */
  #probe = "";
  /** The question about the server; '': it is answered, `null`: not asked on this connection. @type {string | null} */
  #hello = null;
  /**
   * @param {Address} address
   * @param {ClientOptions} [options]
   * @throws {ClientError} `invalid-address`, `invalid-option`
   */
  constructor(address, options = {}) {
    super(address, options);
    const {
      outbox = null,
      requestTimeoutMs = outbox ? Infinity : 3e4,
      answerTimeoutMs = 15e3,
      requestLimit = 100,
      repeatWindowMs,
      greet = false
    } = options;
    (0, import_errors.checkOptions)(
      requestTimeoutMs > 0 && answerTimeoutMs > 0 && requestLimit >= 0 && (repeatWindowMs ?? 0) >= 0
    );
    this.#answerTimeoutMs = answerTimeoutMs;
    this.#repeatWindowMs = repeatWindowMs;
    this.#greets = greet;
    const { environment } = this;
    this.#renewal = new import_deadline.Deadline(environment.timers);
    this.#pause = new import_deadline.Deadline(environment.timers);
    this.pulse = new import_pulse.Pulse({
      environment,
      answerMs: answerTimeoutMs,
      ask: () => this.#ask(),
      waiting: () => this.requests.waiting || this.#probe !== "",
      lost: () => this.lose("no-answer")
    });
    const keeper = outbox ?? /** @type {typeof Session} */
    this.constructor;
    this.requests = keeper.requests({
      ...environment,
      client: (
        /** @type {any} */
        this
      ),
      limit: requestLimit,
      timeoutMs: requestTimeoutMs,
      windowMs: repeatWindowMs ?? 11e4,
      user: options.user
    });
  }
  /**
   * Sends a message, if the connection is open. Nothing is kept for later: what could not go
   * out is the caller's to repeat.
   *
   * @param {object} message Anything that `JSON.stringify` turns into a JSON object.
   * @returns {boolean} Whether it went out. Whether it arrived, only an answer can tell. One that JSON
   *   cannot say or that is larger than the server takes does not go out, and is told by the event `fault`.
   */
  send(message) {
    let text;
    try {
      text = (0, import_message.textOf)(message);
      if (!this.fits(text)) throw (0, import_errors.tooLarge)();
    } catch (error) {
      this.emit(
        "fault",
        /** @type {ClientError} */
        error
      );
      return false;
    }
    return this.#sendText(text);
  }
  /**
   * Tells whether the server takes a message of this size, as far as it is known.
   *
   * @protected
   * @param {string} text
   */
  fits(text) {
    return this.#size.fits(text);
  }
  /**
   * Sends a message that is answered.
   *
   * @protected
   * @param {string} text
   */
  sendRequest(text) {
    const sent = !this.paused && this.#sendText(text);
    if (sent && this.requests.supported) this.pulse.expect();
    return sent;
  }
  /** @param {string} text */
  #sendText(text) {
    if (this.state !== "connected" || this.socket?.readyState !== OPEN) return false;
    this.#size.sent(text);
    this.socket.send(text);
    return true;
  }
  /**
   * Sends a message that the server answers: now or, if the client waits for a connection with its
   * requests, as soon as there is one.
   *
   * @template [R=WireMessage]
   * @param {object} message Gets a field `id`.
   * @param {RequestOptions} [options]
   * @returns {Promise<R>} The answer: the `data` of a `reply`, any other message as it is. Rejects with a `ClientError`: `refused` with the
   *   server's error as its `cause`, `invalid-message` for what JSON cannot say, `too-large`, `timeout`,
   *   `overflow`, `unsent`, `unconfirmed`, `unsupported`, `closed`.
   */
  request(message, options) {
    return this.requests.add(message, options);
  }
  /**
   * Answers the server's requests of a name. Of several functions for one name the last one does.
   *
   * @example
   * client.handle('confirm', async ({ question }) => await ask(question));
   *
   * @param {string} name
   * @param {(data: any) => unknown} handler Returns the answer or a promise of it, anything that JSON can
   *   say. If it throws, the server is told the `code`, where that is text, and the `message` of the error.
   *   An answer that cannot be sent is told by the event `fault`, and the server waits in vain.
   * @returns {() => void} Takes the function away.
   */
  handle(name, handler) {
    const handlers = this.#handlers;
    handlers.set(name, handler);
    return () => {
      if (handlers.get(name) === handler) handlers.delete(name);
    };
  }
  /** @param {WireMessage} request */
  async #respond({ id, name, data }) {
    const { socket } = this;
    let answer;
    try {
      const handler = this.#handlers.get(name);
      if (!handler) throw new import_errors.ClientError("no-handler");
      answer = { data: await handler(data) ?? null };
    } catch (thrown) {
      const { code, message = String(thrown) } = Object(thrown);
      answer = { error: { ...typeof code === "string" && { code }, message } };
    }
    if (socket === this.socket) this.send({ type: "response", id, ...answer });
  }
  /**
   * The address that the next attempt to connect leads to, as far as it is known.
   *
   * @protected
   * @returns {string | undefined}
   */
  place() {
    return void 0;
  }
  /**
   * Looks at a message before anybody else.
   *
   * @protected
   * @param {WireMessage} _message
   * @returns {boolean} Whether the others are to see it.
   */
  accept(_message) {
    return true;
  }
  /**
   * Tells everybody about a message of the server.
   *
   * @protected
   * @param {WireMessage} message
   */
  deliver(message) {
    this.emit("message", message);
    const { localEvents } = (
      /** @type {typeof Session} */
      this.constructor
    );
    if (this.state === "connected" && typeof message.type === "string" && !localEvents.has(message.type)) {
      this.emit(message.type, message);
    }
  }
  /**
   * @override
   * @protected
   */
  opened() {
    const { requests } = this;
    requests.opened();
    if (requests.supported) this.#begin();
    else if (this.#greets && requests.supported === null) this.pulse.start();
  }
  /**
   * Finds out who this is to the server.
   *
   * @protected
   */
  askWho() {
    const { supported } = this.requests;
    if (this.state !== "connected") return;
    if (supported || supported === null && this.#greets) this.#greet();
    else this.requests.identify();
  }
  /**
   * Asks the server about itself, once on each connection: who this is to it, and what it expects.
   * Servers that answer by `id` answer this too, if only by not knowing it.
   */
  #greet() {
    if (this.#hello !== null) return;
    this.#hello = this.requests.newId();
    this.#sayHello();
  }
  #sayHello() {
    if (this.#hello) this.send({ type: "hello", id: this.#hello, ...this.introduction });
  }
  /**
   * Fields that go with the question about the server.
   *
   * @protected
   * @type {object}
   */
  introduction = {};
  /**
   * @override
   * @protected
   * @type {Connection['released']}
   */
  released(isEnd, code) {
    this.pulse.stop();
    this.#renewal.clear();
    this.#pause.clear();
    this.#hello = null;
    this.#probe = "";
    if (code === TOO_BIG) {
      this.#size.exceeded();
      this.requests.refuseTooLarge();
    }
    this.#size.ended();
    this.requests.released(isEnd);
  }
  /**
   * @override
   * @protected
   * @param {unknown} data
   */
  received(data) {
    this.pulse.heard();
    const message = (0, import_message.parseMessage)(data);
    if (!message) {
      this.emit("fault", new import_errors.ClientError("invalid-message"));
      return;
    }
    if (message.type !== "error" || ACCEPTED.has(message["code"])) this.admitted = true;
    if (message.type === "reconnect") this.advise(message["afterMs"]);
    const { id, retryAfterMs } = message;
    const later = message.type === "error" && retryAfterMs >= 0;
    if (later) this.#pause.start(Math.max(retryAfterMs, LEAST_PAUSE_MS), () => this.resumed());
    if (later ? this.#isOwn(id) : this.#ownAnswer(message)) return;
    const answered = later ? this.requests.has(id) : this.requests.answer(message);
    if (message.type === "request") void this.#respond(message);
    const news = this.accept(message);
    if (this.requests.supported && this.#hello === null) this.#begin();
    if (!news || this.state !== "connected") return;
    if (answered && message.type === "error") this.emit("message", message);
    else this.deliver(message);
  }
  /**
   * @override
   * @protected
   * @param {boolean} slept
   */
  awake(slept) {
    if (this.requests.supported) {
      this.#ask();
      this.pulse.expect(Math.min(PROBE_MS, this.#answerTimeoutMs));
    } else if (slept) {
      this.lose("no-answer");
    }
  }
  /**
   * @override
   * @protected
   * @type {Connection['dialling']}
   */
  dialling(address, token, source) {
    this.#renewAt(token);
    this.requests.enter(address, token, source);
  }
  /** The server answers by `id`: it can be asked. */
  #begin() {
    this.pulse.start();
    this.#greet();
  }
  /** @returns {boolean | null} Whether something is to come; `null`: the server answers nobody. */
  #ask() {
    const { supported } = this.requests;
    if (supported) {
      this.#probe = this.requests.newId();
      this.send({ type: "ping", id: this.#probe });
    } else if (supported === null) {
      this.#sayHello();
      this.#greet();
    }
    return supported === false ? null : true;
  }
  /** @param {unknown} id */
  #isOwn(id) {
    return id && (id === this.#hello || id === this.#probe);
  }
  /**
   * True while the server takes no messages, as there were too many.
   *
   * @protected
   */
  get paused() {
    return this.#pause.set;
  }
  /**
   * Takes the answers to what the client asks for itself, which are nobody else's affair.
   *
   * @param {WireMessage} message
   * @returns {boolean} Whether it is one.
   */
  #ownAnswer(message) {
    const { requests } = this;
    const { id, type } = message;
    if (this.#hello && requests.supported === null && id === void 0 && type === "error") {
      this.#hello = "";
      requests.support(false);
      requests.identify();
      return !message["code"];
    }
    if (!this.#isOwn(id)) return false;
    requests.supported = true;
    if (id === this.#probe) this.#probe = "";
    else {
      this.#hello = "";
      requests.identify(type === "hello" ? this.#welcomed(message) : void 0);
    }
    this.#begin();
    return true;
  }
  /**
   * The server takes messages again, after it has dropped some.
   *
   * @protected
   */
  resumed() {
    this.#sayHello();
    this.requests.repeat();
  }
  /**
   * The server has told about itself.
   *
   * @param {WireMessage} hello
   * @returns {UserId | undefined} The user that this is to it.
   */
  #welcomed({ user, time, pingIntervalMs, maxMessageBytes, windowMs }) {
    const { requests } = this;
    this.#clockError = this.environment.date() - Date.parse(time) || 0;
    this.#renewAt(this.#renewed, this.#expiry);
    this.pulse.intervalMs = pingIntervalMs;
    this.#size.told(maxMessageBytes);
    requests.refuseTooLarge();
    if (windowMs > 0) requests.windowMs = Math.min(this.#repeatWindowMs ?? Infinity, windowMs - UNDER_WAY_MS);
    return user?.id;
  }
  /**
   * @param {MaybeToken} token
   * @param {number} [expiry] In milliseconds since 1970, or `NaN`.
   */
  #renewAt(token, expiry = (0, import_token.expiryOf)(token)) {
    this.#renewed = token;
    this.#expiry = expiry;
    if (typeof this.token !== "function" || !expiry || this.hasTickets) return;
    const left = expiry - (this.environment.date() - this.#clockError);
    const delay = (0, import_token.refreshDelay)(Math.min(left, (0, import_token.lifetimeOf)(token)));
    this.#renewal.start(delay, () => void this.#renew());
  }
  /** Replaces the token on the open connection. */
  async #renew() {
    const { socket } = this;
    if (!socket || !this.requests.supported) return;
    const current = () => socket === this.socket;
    try {
      const token = await this.askToken();
      if (!current()) return;
      const options = { timeoutMs: this.#answerTimeoutMs, repeat: false };
      const { expiresAt } = await this.request({ type: "refresh", token }, options);
      if (current()) this.#renewAt(token, Date.parse(expiresAt) || (0, import_token.expiryOf)(token));
    } catch (error) {
      if (!current()) return;
      const { code, refusal } = (
        /** @type {Partial<ClientError>} */
        error ?? {}
      );
      if (code === "unauthorized") {
        this.fail("unauthorized", { error: (
          /** @type {ClientError} */
          error
        ) });
      } else if (code !== "refused" || refusal === "invalid-token" || refusal === "token-expired") {
        this.#renewAt(this.#renewed, this.#expiry);
      }
    }
  }
}
const ACCEPTED = /* @__PURE__ */ new Set(["token-expired", "disconnected"]);
const LEAST_PAUSE_MS = 250;
const UNDER_WAY_MS = 1e4;
const PROBE_MS = 5e3;
const TOO_BIG = 1009;
const OPEN = 1;
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Session
});
