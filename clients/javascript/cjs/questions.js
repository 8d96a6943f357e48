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
var questions_exports = {};
__export(questions_exports, {
  Questions: () => Questions,
  unsent: () => unsent,
  wentOut: () => wentOut
});
module.exports = __toCommonJS(questions_exports);
var import_deadline = require("./deadline.js");
var import_errors = require("./errors.js");
var import_message = require("./message.js");
var import_random_id = require("./random-id.js");
class Questions {
  /**
   * True if the server answers by `id`; `null` until it has shown either.
   *
   * @type {boolean | null}
   */
  supported = null;
  /** The time after its first sending in which a request may be repeated, in milliseconds. */
  windowMs;
  /**
   * @protected
   * @type {Map<string, Pending>}
   */
  pending = /* @__PURE__ */ new Map();
  /**
   * @protected
   * @readonly
   */
  options;
  #prefix = (0, import_random_id.randomId)();
  #made = 0;
  /** @param {QuestionsOptions} options */
  constructor(options) {
    this.options = options;
    this.windowMs = options.windowMs;
  }
  /** True while an answer is due. */
  get waiting() {
    return this.any(wentOut);
  }
  /**
   * @protected
   * @param {(pending: Pending) => unknown} test
   */
  any(test) {
    return [...this.pending.values()].some(test);
  }
  /** A name for a message that no other has. */
  newId() {
    return `${this.#prefix}-${this.#made += 1}`;
  }
  /**
   * @param {object} message
   * @param {RequestOptions} [options]
   * @returns {Promise<any>}
   */
  add(message, { timeoutMs = this.options.timeoutMs, repeat = true } = {}) {
    return new Promise((resolve, reject) => {
      const { limit, timers, client } = this.options;
      const scope = this.scopeOfNew();
      if (this.supported === false) throw new import_errors.ClientError("unsupported");
      if (this.pending.size >= limit) throw new import_errors.ClientError("overflow");
      const id = this.newId();
      const text = (0, import_message.textOf)({ ...message, id });
      if (!client.fits(text)) throw (0, import_errors.tooLarge)();
      const pending = { ...scope, id, text, repeat, resolve, reject, expiry: new import_deadline.Deadline(timers) };
      this.pending.set(id, pending);
      if (timeoutMs < Infinity) {
        pending.expiry.start(timeoutMs, () => this.settle(id)?.reject(new import_errors.ClientError("timeout")));
      }
      this.begin(pending);
    });
  }
  /**
   * @protected
   * @returns {Scope}
   * @throws {ClientError} `unsent`
   */
  scopeOfNew() {
    if (this.options.client.state !== "connected") throw new import_errors.ClientError("unsent");
    return {};
  }
  /**
   * @protected
   * @param {Pending} pending
   */
  begin(pending) {
    this.dispatch(pending);
  }
  /**
   * An attempt to connect begins.
   *
   * @param {string} _address
   * @param {MaybeToken} _token
   * @param {TokenSource} _source Where the token came from.
   */
  enter(_address, _token, _source) {
  }
  /**
   * The server has told who this is, or cannot.
   *
   * @param {UserId} [_user]
   */
  identify(_user) {
  }
  /** There is a connection. */
  opened() {
  }
  /**
   * The connection is over.
   *
   * @param {boolean} isEnd Whether the client will not come back by itself.
   */
  released(isEnd) {
    this.drop(isEnd ? () => new import_errors.ClientError("closed") : unsent);
  }
  /** The limit of the server is known better: what is larger is not sent, or not again. */
  refuseTooLarge() {
    this.drop(import_errors.tooLarge, ({ text }) => !this.options.client.fits(text));
  }
  /** Some were dropped on the way: what has no answer goes out again, on the same connection. */
  repeat() {
    for (const pending of this.pending.values()) this.resend(pending, true);
  }
  /**
   * @protected
   * @param {Pending} pending
   * @param {boolean} _repeat Whether one that was sent may be sent again.
   */
  resend(pending, _repeat) {
    this.dispatch(pending);
  }
  /** @param {unknown} id */
  has(id) {
    return this.pending.has(
      /** @type {string} */
      id
    );
  }
  /**
   * Takes the answer out of what the server sends.
   *
   * @param {WireMessage} message
   * @returns {boolean} Whether it is one.
   */
  answer(message) {
    const pending = this.settle(message["id"]);
    if (!pending) return false;
    this.supported = true;
    if (message.type === "error") pending.reject((0, import_errors.refused)(message));
    else pending.resolve(message.type === "reply" && "data" in message ? message["data"] : message);
    return true;
  }
  /**
   * The server has shown whether it answers by `id`. If it does not, what went out is not
   * repeated.
   *
   * @param {boolean} supported
   */
  support(supported) {
    this.supported = supported;
    if (!supported) this.drop(() => new import_errors.ClientError("unsupported"), wentOut);
  }
  /**
   * Rejects those that `test` picks.
   *
   * @protected
   * @param {(pending: Pending) => ClientError} error
   * @param {(pending: Pending) => unknown} [test]
   */
  drop(error, test = () => true) {
    for (const pending of this.pending.values()) {
      if (test(pending)) this.settle(pending.id)?.reject(error(pending));
    }
  }
  /**
   * @protected
   * @param {Pending} pending
   * @returns {boolean} Whether it went out.
   */
  dispatch(pending) {
    const { client, now, date } = this.options;
    if (!client.sendRequest(pending.text)) return false;
    pending.since ??= now();
    pending.sentAt ??= date();
    return true;
  }
  /**
   * @protected
   * @param {any} id
   */
  settle(id) {
    const pending = this.pending.get(id);
    if (!pending) return null;
    this.pending.delete(id);
    pending.expiry.clear();
    return pending;
  }
}
function wentOut({ sentAt }) {
  return sentAt !== void 0;
}
function unsent(pending) {
  return new import_errors.ClientError(wentOut(pending) ? "unconfirmed" : "unsent");
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Questions,
  unsent,
  wentOut
});
