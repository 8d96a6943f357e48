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
var presence_state_exports = {};
__export(presence_state_exports, {
  PresenceState: () => PresenceState
});
module.exports = __toCommonJS(presence_state_exports);
const HELD = 1e3;
class PresenceState {
  /** @type {Map<UserId, PresenceMember>} */
  #members = /* @__PURE__ */ new Map();
  /** The version of what is known; `null` while a snapshot is waited for. @type {number | null} */
  #version = null;
  /** The place at which the next page begins; `null` when there is none to come. @type {number | null} */
  #next = null;
  /** @type {PresenceDiff[]} */
  #held = [];
  /** @type {readonly PresenceMember[]} */
  #list = Object.freeze([]);
  /**
   * The members, in the order in which they came. The same array until something changes.
   *
   * @returns {readonly PresenceMember[]}
   */
  get list() {
    return this.#list;
  }
  /**
   * Marks the list as old: the next snapshot replaces it.
   *
   * @returns {number} The place at which the page begins that is to be asked for.
   */
  forget() {
    this.#version = this.#next = null;
    this.#held = [];
    return 0;
  }
  /**
   * Forgets everybody.
   *
   * @returns {boolean} Whether anybody was there.
   */
  clear() {
    this.forget();
    this.#members.clear();
    const changed = this.#list.length > 0;
    if (changed) this.#publish();
    return changed;
  }
  /**
   * Takes a snapshot or a page of one. The list is replaced when the last page is there.
   *
   * @param {PresenceSnapshot} snapshot
   * @returns {number | null} The place at which the page begins that is to be asked for; `null` if
   *   there is none. 0 means that another snapshot is needed.
   */
  snapshot({ members, version, after = 0, next }) {
    if (after > 0) {
      if (after !== this.#next) return null;
      if (version !== this.#version) return this.forget();
    } else {
      if (version === this.#version && (this.#next === null || next !== void 0)) return null;
      this.#version = version;
      this.#members.clear();
    }
    this.#next = next ?? null;
    for (const member of asArray(members)) this.#put(member);
    const held = this.#held.filter((diff) => diff.version > version);
    this.#held = [];
    if (!held.every((diff) => this.#apply(diff))) return this.forget();
    this.#publish();
    return this.#next;
  }
  /**
   * @param {PresenceDiff} diff
   * @returns {boolean} Whether it fits; if not, a snapshot is needed.
   */
  diff(diff) {
    if (this.#version === null) {
      this.#held.push(diff);
      if (this.#held.length > HELD) this.#held.shift();
      return true;
    }
    if (diff.version <= this.#version) return true;
    const whole = this.#apply(diff);
    if (whole) this.#publish();
    else {
      this.forget();
      this.#held.push(diff);
    }
    return whole;
  }
  /**
   * @param {PresenceDiff} diff
   */
  #apply({ version, joined, left, updated }) {
    if (version !== /** @type {number} */
    this.#version + 1) return false;
    this.#version = version;
    for (const { user, device } of asArray(left)) {
      const member = this.#members.get(user.id);
      const devices = (member?.devices ?? []).filter(({ id }) => id !== device);
      if (!member || devices.length === 0) this.#members.delete(user.id);
      else this.#members.set(user.id, { ...member, devices });
    }
    for (const member of [...asArray(joined), ...asArray(updated)]) this.#put(member);
    return true;
  }
  /** @param {PresenceMember} member */
  #put({ user, devices }) {
    const known = this.#members.get(user.id)?.devices ?? [];
    const changed = new Map(known.map((device) => [device.id, device]));
    for (const device of asArray(devices)) changed.set(device.id, device);
    this.#members.set(user.id, { user, devices: [...changed.values()] });
  }
  #publish() {
    if (this.#next === null) this.#list = Object.freeze([...this.#members.values()]);
  }
}
function asArray(value) {
  return Array.isArray(value) ? value : [];
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  PresenceState
});
