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
var deadline_exports = {};
__export(deadline_exports, {
  Deadline: () => Deadline
});
module.exports = __toCommonJS(deadline_exports);
const LONGEST_MS = 2 ** 31 - 1;
class Deadline {
  #timers;
  /** @type {unknown} */
  #timer = null;
  /** @param {Timers} timers */
  constructor(timers) {
    this.#timers = timers;
  }
  /** True while the timer runs. */
  get set() {
    return this.#timer !== null;
  }
  /**
   * Waits; a wait that was under way ends without a call.
   *
   * @param {number} ms At most 25 days; a longer wait ends then.
   * @param {() => void} callback
   */
  start(ms, callback) {
    this.clear();
    this.#timer = this.#timers.setTimeout(() => {
      this.#timer = null;
      callback();
    }, Math.min(ms, LONGEST_MS));
  }
  clear() {
    if (this.set) this.#timers.clearTimeout(this.#timer);
    this.#timer = null;
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Deadline
});
