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
var requests_exports = {};
__export(requests_exports, {
  Requests: () => Requests
});
module.exports = __toCommonJS(requests_exports);
var import_address = require("./address.js");
var import_questions = require("./questions.js");
var import_token = require("./token.js");
class Requests extends import_questions.Questions {
  /**
   * The scope of the present attempt or connection.
   *
   * @protected
   * @type {Scope}
   */
  scope = {};
  /**
   * True while nothing may go out: what is being read is older.
   *
   * @protected
   */
  reading = false;
  /** The user that is known last, by a token or the server, and where the token came from. @type {Scope} */
  #known = {};
  /** The number of the present connection. */
  #connection = 0;
  /** True when the server has told who this is, or cannot. */
  #identified = false;
  /** True while the server is to tell who this is, before anything goes out. */
  get #held() {
    return !this.#identified && this.scope.user === void 0 && this.any(({ restored, user }) => restored || user !== void 0);
  }
  /**
   * @override
   * @protected
   * @returns {Scope}
   */
  scopeOfNew() {
    const { client, user } = this.options;
    if (client.state === "connected") return this.scope;
    const { token: source } = client;
    const known = this.#known.source === source ? this.#known.user : void 0;
    const address = client.place();
    const place = address === void 0 ? this.scope.place : (0, import_address.placeOf)(address);
    return { place, user: (0, import_token.userKey)(user) ?? (0, import_token.userOf)(source) ?? known, source };
  }
  /**
   * @override
   * @protected
   * @param {Pending} pending
   */
  begin(pending) {
    if (!this.dispatch(pending)) this.keep(pending);
  }
  /**
   * Keeps a request for the next page, or keeps it up to date.
   *
   * @protected
   * @param {Pending} _pending
   */
  keep(_pending) {
  }
  /**
   * The present scope is known better.
   *
   * @protected
   */
  entered() {
  }
  /**
   * An attempt to connect begins. What waits for another place or user is given up.
   *
   * @override
   * @param {string} address
   * @param {MaybeToken} token
   * @param {TokenSource} source
   */
  enter(address, token, source) {
    this.scope = { place: (0, import_address.placeOf)(address), user: (0, import_token.userKey)(this.options.user) ?? (0, import_token.userOf)(token), source };
    this.#identified = false;
    this.#sift();
  }
  /**
   * @override
   * @param {UserId} [id]
   */
  identify(id) {
    const { scope } = this;
    this.#identified = true;
    this.scope = { ...scope, user: scope.user ?? (0, import_token.userKey)(id) };
    this.#sift();
    this.flush();
  }
  #sift() {
    const { user: own, source } = this.scope;
    if (own !== void 0) this.#known = { source, user: own };
    this.drop(import_questions.unsent, (pending) => this.isForeign(pending));
    const { place, user } = this.scope;
    for (const pending of this.pending.values()) {
      if (pending.restored) continue;
      const before = { ...pending };
      pending.place ??= place;
      pending.user ??= user;
      if (before.place !== pending.place || before.user !== pending.user) this.keep(pending);
    }
    this.entered();
  }
  /**
   * Tells whether a request is for another place or of another user, as far as they are known.
   *
   * @protected
   * @param {Pending} pending
   */
  isForeign({ place, user, source, restored }) {
    const { scope } = this;
    if (place !== void 0 && scope.place !== void 0 && place !== scope.place) return true;
    if (user === void 0) return restored ? scope.user !== void 0 : source !== scope.source;
    return scope.user === void 0 ? this.#identified : user !== scope.user;
  }
  /**
   * Everything goes out that has no answer yet.
   *
   * @override
   */
  opened() {
    this.#connection += 1;
    this.flush();
  }
  /**
   * The connection is over. Requests wait for the next one, unless this is the end.
   *
   * @override
   * @param {boolean} isEnd
   */
  released(isEnd) {
    if (isEnd) super.released(isEnd);
  }
  /**
   * Sends what was not sent on this connection.
   *
   * @protected
   */
  flush() {
    if (this.reading) return;
    if (this.#held) return this.options.client.askWho();
    for (const pending of this.pending.values()) {
      if (pending.sentOn !== this.#connection) this.resend(pending, pending.repeat);
    }
  }
  /**
   * Sends a request, unless the server may have forgotten that it was sent before.
   *
   * @override
   * @protected
   * @param {Pending} pending
   * @param {boolean} repeat
   */
  resend(pending, repeat) {
    const { sentAt = 0, since = 0 } = pending;
    const { now, date } = this.options;
    const ageMs = Math.max(now() - since, date() - sentAt);
    if (!(0, import_questions.wentOut)(pending) || repeat && ageMs < this.windowMs) this.dispatch(pending);
    else this.settle(pending.id)?.reject((0, import_questions.unsent)(pending));
  }
  /**
   * @override
   * @protected
   * @param {Pending} pending
   */
  dispatch(pending) {
    const isFirst = !(0, import_questions.wentOut)(pending);
    if (this.reading || this.#held || this.isForeign(pending) || !super.dispatch(pending)) return false;
    pending.sentOn = this.#connection;
    if (isFirst) this.keep(pending);
    return true;
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Requests
});
