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
var typing_exports = {};
__export(typing_exports, {
  TypingUsers: () => TypingUsers
});
module.exports = __toCommonJS(typing_exports);
var import_environment = require("./environment.js");
class TypingUsers {
  /** @type {Map<UserId, { user: User, timer: unknown }>} */
  #users = /* @__PURE__ */ new Map();
  #timers;
  #expiryMs;
  #changed;
  /**
   * @param {object} options
   * @param {Timers} [options.timers] Default: the platform's own.
   * @param {number} [options.expiryMs] How long a user counts as typing after last saying so, in
   *   milliseconds. Default 6,000.
   * @param {() => void} options.changed Called after each change of `list()`.
   */
  constructor({ timers = import_environment.platformTimers, expiryMs = 6e3, changed }) {
    this.#timers = timers;
    this.#expiryMs = expiryMs;
    this.#changed = changed;
  }
  /**
   * @returns {User[]} In the order in which they began.
   */
  list() {
    return Array.from(this.#users.values(), ({ user }) => user);
  }
  /**
   * A user types, or types on.
   *
   * @param {User} user
   */
  start(user) {
    const known = this.#users.get(user.id);
    if (known) this.#timers.clearTimeout(known.timer);
    const timer = this.#timers.setTimeout(() => this.stop(user), this.#expiryMs);
    this.#users.set(user.id, { user, timer });
    if (!known) this.#changed();
  }
  /**
   * @param {User} user
   */
  stop({ id }) {
    const known = this.#users.get(id);
    if (!known) return;
    this.#timers.clearTimeout(known.timer);
    this.#users.delete(id);
    this.#changed();
  }
  clear() {
    if (this.#users.size === 0) return;
    for (const { timer } of this.#users.values()) this.#timers.clearTimeout(timer);
    this.#users.clear();
    this.#changed();
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  TypingUsers
});
