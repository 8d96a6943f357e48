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
var members_exports = {};
__export(members_exports, {
  Members: () => Members
});
module.exports = __toCommonJS(members_exports);
class Members {
  /**
   * `doubtful`: known from before something was missed, and not confirmed since.
   *
   * @type {Map<UserId, { user: User, connections: number, doubtful?: boolean }>}
   */
  #members = /* @__PURE__ */ new Map();
  /**
   * @returns {User[]} In the order in which they came.
   */
  list() {
    return Array.from(this.#members.values(), ({ user }) => user);
  }
  /**
   * @returns {User[]} Once per connection, as `replace` takes them.
   */
  all() {
    return [...this.#members.values()].flatMap(({ user, connections }) => Array(connections).fill(user));
  }
  /**
   * @param {Iterable<User>} users Once per connection.
   */
  replace(users) {
    this.#members.clear();
    for (const user of users) this.add(user);
  }
  /**
   * @param {User} user
   * @returns {boolean} Whether they are new.
   */
  add(user) {
    const before = this.#members.get(user.id);
    const connections = (before?.connections ?? 0) + 1;
    this.#members.set(user.id, { ...before, user, connections });
    return connections === 1;
  }
  /** Some joins or leaves may be missing: who is there has to be confirmed by `set`. */
  doubt() {
    for (const member of this.#members.values()) member.doubtful = true;
  }
  /**
   * @param {User} user
   * @param {number} connections All of them, at this moment.
   */
  set(user, connections) {
    this.#members.set(user.id, { user, connections });
  }
  /** Everybody who is there was confirmed. */
  settle() {
    for (const [id, { doubtful }] of this.#members) if (doubtful) this.#members.delete(id);
  }
  /**
   * Takes one connection from a user.
   *
   * @param {User} user
   * @returns {boolean} Whether it was their last.
   */
  remove({ id }) {
    const member = this.#members.get(id);
    if (!member) return false;
    member.connections -= 1;
    return member.connections === 0 && this.#members.delete(id);
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Members
});
