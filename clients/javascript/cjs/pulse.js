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
var pulse_exports = {};
__export(pulse_exports, {
  Pulse: () => Pulse
});
module.exports = __toCommonJS(pulse_exports);
var import_deadline = require("./deadline.js");
class Pulse {
  #options;
  #quietMs = QUIET_MS;
  #heardAt = 0;
  /** The time of the next question. */
  #beat;
  /** The end of the patience with a silent line. */
  #patience;
  #patienceMs = 0;
  #askedAt = 0;
  #dueAt = Infinity;
  /** @param {PulseOptions} options */
  constructor(options) {
    this.#options = options;
    this.#beat = new import_deadline.Deadline(options.environment.timers);
    this.#patience = new import_deadline.Deadline(options.environment.timers);
  }
  /**
   * The server pings a silent line at this interval. Asked a little more often, it need not, and a
   * line that is silent for longer is dead.
   *
   * @param {unknown} ms
   */
  set intervalMs(ms) {
    if (Number(ms) > 0) this.#quietMs = Math.max(LEAST_QUIET_MS, Number(ms) * 0.8);
  }
  /** Something came. */
  heard() {
    this.#heardAt = this.#options.environment.now();
  }
  /**
   * The other side answers: from now on it is asked.
   *
   * Called when a message comes, also for each answer, and not by the timer: browsers call the timers
   * of hidden pages once a minute if they were set by timers alone.
   */
  start() {
    this.#beat.start(this.#quietMs, () => this.#ask());
  }
  /**
   * An answer is due.
   *
   * @param {number} [ms] How long the other side may be silent.
   */
  expect(ms = this.#options.answerMs) {
    const now = this.#options.environment.now();
    if (this.#patience.set && this.#dueAt <= now + ms) return;
    this.#askedAt = now;
    this.#wait(ms, ms);
  }
  stop() {
    this.#beat.clear();
    this.#patience.clear();
  }
  #ask() {
    const { environment, ask } = this.#options;
    const silentMs = environment.now() - this.#heardAt;
    if (silentMs < this.#quietMs && environment.page?.visibilityState !== "hidden") {
      this.#beat.start(this.#quietMs - silentMs, () => this.#ask());
    } else {
      const due = ask();
      if (due) this.expect();
      else if (due !== null) this.start();
    }
  }
  /**
   * @param {number} patienceMs
   * @param {number} ms
   */
  #wait(patienceMs, ms) {
    this.#patienceMs = patienceMs;
    this.#dueAt = this.#options.environment.now() + ms;
    this.#patience.start(ms, () => this.#judge());
  }
  #judge() {
    const { environment, waiting, lost, answerMs } = this.#options;
    const heard = this.#heardAt >= this.#askedAt;
    const silentMs = environment.now() - Math.max(this.#heardAt, this.#askedAt);
    if (silentMs >= this.#patienceMs) {
      if (!heard || waiting()) return lost();
    } else if (waiting()) {
      return this.#wait(answerMs, answerMs - silentMs);
    }
    if (!this.#beat.set) this.start();
  }
}
const LEAST_QUIET_MS = 5e3;
const QUIET_MS = 2e4;
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Pulse
});
