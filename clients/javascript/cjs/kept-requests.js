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
var kept_requests_exports = {};
__export(kept_requests_exports, {
  KeptRequests: () => KeptRequests
});
module.exports = __toCommonJS(kept_requests_exports);
var import_deadline = require("./deadline.js");
var import_errors = require("./errors.js");
var import_guarded_store = require("./guarded-store.js");
var import_message = require("./message.js");
var import_questions = require("./questions.js");
var import_requests = require("./requests.js");
class KeptRequests extends import_requests.Requests {
  #store;
  /** The scope for which the store was last read. @type {Scope | null} */
  #read = null;
  /** True after the store has failed to be read: nothing waits for it any more. */
  #hasFailed = false;
  /** True while the store is to be read as soon as it can be. */
  #isUnread = false;
  /** The ids that were settled while the store is being read. @type {Set<string> | null} */
  #settled = null;
  #isEnding = false;
  /**
   * @param {RequestStore} store
   * @param {QuestionsOptions} options
   */
  constructor(store, options) {
    super(options);
    const { timers, client } = options;
    this.#store = (0, import_guarded_store.guardedStore)(store, {
      timers,
      failed: (cause) => client.emit("fault", new import_errors.ClientError("store", "the outbox fails", { cause })),
      readable: () => this.#isUnread && this.entered()
    });
  }
  /**
   * @override
   * @protected
   * @param {Pending} pending
   */
  keep({ id, text, place, user, sentAt, repeat }) {
    if (!repeat) return;
    const { id: _, ...message } = JSON.parse(text);
    const stored = JSON.parse(JSON.stringify({ id, message, place, user, sentAt }));
    this.#store.put(stored).catch(() => this.#store.remove(id).catch(ignore));
  }
  /**
   * @override
   * @protected
   * @param {any} id
   */
  settle(id) {
    const pending = super.settle(id);
    this.#settled?.add(id);
    if (pending?.repeat && !this.#isEnding) this.#store.remove(id).catch(ignore);
    return pending;
  }
  /**
   * @override
   * @param {boolean} isEnd
   */
  released(isEnd) {
    if (isEnd) {
      this.#read = null;
      this.#isUnread = false;
      this.reading = false;
    }
    this.#isEnding = isEnd;
    super.released(isEnd);
    this.#isEnding = false;
  }
  /**
   * Reads the store, if it was not read yet for this place and user. One that could not be read is
   * tried again when it answers after all, and with the next attempt to connect.
   *
   * @override
   * @protected
   */
  entered() {
    const { scope } = this;
    if (this.#read && this.#read.place === scope.place && this.#read.user === scope.user) return;
    this.#read = scope;
    this.#isUnread = false;
    this.#settled = /* @__PURE__ */ new Set();
    this.reading = !this.#hasFailed;
    void (async () => {
      const loaded = await this.#store.load().catch(ignore);
      if (scope !== this.#read) return;
      this.#hasFailed = !loaded;
      if (loaded) this.#restore(loaded);
      else this.#read = null;
      this.#isUnread = !loaded;
      this.#settled = null;
      this.reading = false;
      this.flush();
    })();
  }
  /** @param {StoredRequest[]} loaded */
  #restore(loaded) {
    const { place, user } = this.scope;
    const younger = new Map(this.pending);
    this.pending.clear();
    const restored = loaded.filter((stored) => {
      if (younger.has(stored.id) || this.#settled?.has(stored.id)) return false;
      if (stored.place === void 0) return true;
      return stored.place === place && (stored.user === void 0 || stored.user === user);
    }).map((stored) => this.#adopt(stored));
    for (const [id, pending] of younger) this.pending.set(id, pending);
    for (const request of restored) this.options.client.emit("restored", request);
  }
  /** @param {StoredRequest} stored */
  #adopt({ message, ...stored }) {
    const { id, sentAt } = stored;
    const { now, date, timers } = this.options;
    const reply = new Promise((resolve, reject) => {
      const since = sentAt !== void 0 && date() < sentAt ? -Infinity : now();
      const expiry = new import_deadline.Deadline(timers);
      const pending = { ...stored, text: "", since, expiry, repeat: true, restored: true, resolve, reject };
      this.pending.set(id, pending);
      try {
        pending.text = (0, import_message.textOf)({ ...message, id });
      } catch (error) {
        this.settle(id)?.reject(
          /** @type {any} */
          error
        );
      }
      if (stored.place === void 0 || this.isForeign(pending)) this.settle(id)?.reject((0, import_questions.unsent)(pending));
    });
    reply.catch(ignore);
    return { id, message, reply };
  }
}
function ignore() {
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  KeptRequests
});
