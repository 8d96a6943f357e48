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
var virtual_clock_exports = {};
__export(virtual_clock_exports, {
  VirtualClock: () => VirtualClock
});
module.exports = __toCommonJS(virtual_clock_exports);
class VirtualClock {
  #now = 1e6;
  #nextId = 1;
  #timers = /* @__PURE__ */ new Map();
  #offset = 0;
  #dozed = 0;
  /** How many timers led to the present call, each set by the one before. */
  #chain = 0;
  /** How many were ever set. */
  set = 0;
  /** True while the page is hidden for long: chains of timers are called once a minute. */
  throttled = false;
  /** The time that only rises. */
  now = () => this.#now;
  /** The time of day. */
  date = () => this.#now + this.#offset;
  /** Sets the clock, by so many milliseconds. */
  adjust(ms) {
    this.#offset += ms;
  }
  timers = {
    setTimeout: (callback, ms) => {
      const id = this.#nextId++;
      const chain = this.#chain + 1;
      const late = this.throttled && chain >= 5;
      const due = late ? Math.ceil((this.#now + ms) / 6e4) * 6e4 : this.#now + ms;
      this.#timers.set(id, { callback, due, chain });
      this.set += 1;
      return id;
    },
    clearTimeout: (id) => {
      this.#timers.delete(id);
    }
  };
  /** The time until the next timer is due, in milliseconds; `Infinity` without one. */
  get next() {
    return Math.min(...Array.from(this.#timers.values(), ({ due }) => Math.max(0, due - this.#now)));
  }
  /** How many timers are set. */
  get pending() {
    return this.#timers.size;
  }
  /** Lets the machine sleep, and the time that only rises stand still, as on some platforms. */
  doze(ms) {
    this.#offset += ms;
    this.#dozed += ms;
  }
  /** The time of everybody else, by which the clock may be wrong. */
  real = () => this.#now + this.#dozed;
  /** Lets time pass without a call, as a machine does that sleeps: all is called late. */
  sleep(ms) {
    this.#now += ms;
  }
  /** Lets time pass, and calls what falls due in the order in which it does. */
  advance(ms) {
    const end = this.#now + ms;
    for (; ; ) {
      const next = [...this.#timers].sort(([, a], [, b]) => a.due - b.due)[0];
      if (!next || next[1].due > end) break;
      const [id, { callback, due, chain }] = next;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, due);
      this.#chain = chain;
      callback();
      this.#chain = 0;
    }
    this.#now = end;
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  VirtualClock
});
