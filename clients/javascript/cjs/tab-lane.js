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
var tab_lane_exports = {};
__export(tab_lane_exports, {
  TabLane: () => TabLane
});
module.exports = __toCommonJS(tab_lane_exports);
var import_deadline = require("./deadline.js");
var import_random_id = require("./random-id.js");
const CHANNELS = 100;
const SILENT_MS = 15e3;
const LEAST_PAUSE_MS = 250;
class TabLane {
  /** The channels that it has, or was asked for. @type {Set<string>} */
  channels = /* @__PURE__ */ new Set();
  /** The number of channels that it can have. */
  capacity = CHANNELS;
  #socket;
  #now;
  /** Texts that wait until it is open. @type {string[]} */
  #unsent = [];
  /** Channels that were left, and the server has not confirmed it. @type {Set<string>} */
  #leaving = /* @__PURE__ */ new Set();
  /** Requests that wait until their channels were left. @type {Map<string, WireMessage>} */
  #next = /* @__PURE__ */ new Map();
  #pause;
  /** The time at which it was asked for a sign of life that has not come. @type {number | null} */
  #pingedAt = null;
  /**
   * @param {WebSocketLike} socket
   * @param {{ timers: Timers, now: () => number }} options
   */
  constructor(socket, { timers, now }) {
    this.#socket = socket;
    this.#now = now;
    this.#pause = new import_deadline.Deadline(timers);
    socket.addEventListener("open", () => {
      for (const text of this.#unsent.splice(0)) socket.send(text);
    });
  }
  get isOpen() {
    return this.#socket.readyState === 1;
  }
  /** True if another channel may be asked for. */
  get hasRoom() {
    return this.channels.size + this.#leaving.size < this.capacity;
  }
  /** True if it has no channel any more. */
  get isIdle() {
    return this.channels.size + this.#leaving.size === 0;
  }
  /** @param {string} text */
  send(text) {
    if (this.isOpen) this.#socket.send(text);
    else if (this.#socket.readyState === 0) this.#unsent.push(text);
  }
  /**
   * Asks for a channel. One that is just being left is asked for when that is confirmed: otherwise, if
   * the leaving was dropped, the server would take it for had already and ignore the position.
   *
   * @param {WireMessage} request
   */
  subscribe(request) {
    const channel = request["channel"];
    this.channels.add(channel);
    if (this.#leaving.has(channel)) this.#next.set(channel, request);
    else this.send(JSON.stringify(request));
  }
  /** @param {string} channel */
  unsubscribe(channel) {
    this.channels.delete(channel);
    this.#next.delete(channel);
    this.#leave(channel);
  }
  /** @param {string} channel */
  #leave(channel) {
    this.#leaving.add(channel);
    this.send(JSON.stringify({ type: "unsubscribe", channel }));
  }
  /**
   * Asks for a sign of life.
   *
   * @param {boolean} byTab Whether a tab asks on this socket anyway.
   * @returns {boolean} Whether there was one since it was last asked, as far as one was due.
   */
  ping(byTab) {
    if (this.isSilentFor(SILENT_MS)) return false;
    if (this.#pingedAt === null && this.isOpen) {
      this.#pingedAt = this.#now();
      if (!byTab) this.send(JSON.stringify({ type: "ping", id: (0, import_random_id.randomId)() }));
    }
    return true;
  }
  /**
   * Tells whether nothing was heard for so long after a question.
   *
   * @param {number} ms
   */
  isSilentFor(ms) {
    return this.#pingedAt !== null && this.#now() - this.#pingedAt >= ms;
  }
  /**
   * Something came.
   *
   * @param {WireMessage | null} message
   * @param {() => void} resumed Called when the server takes messages again, after it has dropped some.
   */
  heard(message, resumed) {
    this.#pingedAt = null;
    if (message?.type === "unsubscribed" && message["code"] === void 0) this.#left(message["channel"]);
    if (message?.type !== "error" || !(message["retryAfterMs"] >= 0)) return;
    this.#pause.start(Math.max(message["retryAfterMs"], LEAST_PAUSE_MS), () => {
      for (const channel of this.#leaving) this.#leave(channel);
      resumed();
    });
  }
  /** @param {string} channel */
  #left(channel) {
    this.#leaving.delete(channel);
    const request = this.#next.get(channel);
    this.#next.delete(channel);
    if (request) this.subscribe(request);
  }
  close() {
    this.#pause.clear();
    this.#socket.close(1e3);
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  TabLane
});
