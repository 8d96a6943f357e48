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
var position_exports = {};
__export(position_exports, {
  Position: () => Position
});
module.exports = __toCommonJS(position_exports);
var import_errors = require("./errors.js");
class Position {
  /** @type {Since | null} */
  #since;
  /** True after the first connection that was let in. */
  #again;
  /**
   * True where offsets may be left out, as only the newest matters.
   *
   * @type {any}
   */
  #latest;
  /**
   * @param {Since | null} [since] Where to begin. Default: with what is published from now on.
   * @throws {import('./errors.js').ClientError} `invalid-option`
   */
  constructor(since = null) {
    (0, import_errors.checkOptions)(!since || typeof since.epoch === "string" && isOffset(since.offset));
    this.#since = since && { ...since };
    this.#again = !!since;
  }
  /**
   * The position at which the next connection goes on, if the server has told.
   *
   * @returns {Since | null}
   */
  get since() {
    return this.#since && { ...this.#since };
  }
  /**
   * A connection was let in.
   *
   * @param {Answer} answer
   * @returns {number | Gap | null} How many missed publications follow; what is missing; or
   *   `null` where nothing could be missed, at the very first time.
   */
  resume({ epoch, offset: top, recovered, reason, latest }) {
    this.#latest = latest;
    const before = this.#since;
    const again = this.#again;
    this.#again = true;
    if (typeof epoch !== "string" || !isOffset(top)) {
      this.#since = null;
      return again ? gap("unknown") : null;
    }
    if (before && recovered === true && top >= before.offset) {
      this.#since = { epoch, offset: before.offset };
      return top - before.offset;
    }
    this.#since = { epoch, offset: top };
    if (!again) return null;
    const why = (
      /** @type {GapReason} */
      String(reason ?? "unknown")
    );
    return before?.epoch === epoch ? gap(why, before.offset + 1, top) : gap(why);
  }
  /**
   * A publication came.
   *
   * @param {unknown} offset
   * @returns {boolean | Gap} Whether it is new; or what is missing before it.
   */
  take(offset) {
    const since = this.#since;
    if (!since || !isOffset(offset)) return true;
    const expected = since.offset + 1;
    if (offset < expected) return false;
    since.offset = offset;
    return offset === expected || this.#latest || gap("skipped", expected, offset - 1);
  }
  /**
   * A publication was deleted: one that was received or, in its place, the next one.
   *
   * @param {unknown} offset
   */
  pass(offset) {
    const since = this.#since;
    if (since && offset === since.offset + 1) since.offset += 1;
  }
  /**
   * The server says that the stream goes on under another epoch, in which positions of the one
   * before count up to an offset.
   *
   * @param {{ epoch?: unknown, offset?: unknown }} message
   * @returns {Gap | null} What is missing, if this position is beyond it.
   */
  renew({ epoch, offset }) {
    const since = this.#since;
    if (!since || typeof epoch !== "string" || !isOffset(offset) || epoch === since.epoch) return null;
    const counts = since.offset <= offset;
    this.#since = { epoch, offset: counts ? since.offset : offset };
    return counts ? null : gap("epoch");
  }
  /**
   * The server says that publications are lost.
   *
   * @param {{ from?: unknown, to?: unknown, epoch?: unknown }} message
   * @returns {Gap | null} What of it is news.
   */
  skip({ from, to, epoch }) {
    if (!isOffset(from) || !isOffset(to) || from > to) return null;
    const since = this.#since;
    if (!since) return gap("slow", from, to);
    if (typeof epoch === "string" && epoch !== since.epoch) {
      this.#since = { epoch, offset: to };
      return gap("epoch");
    }
    if (to <= since.offset) return null;
    const first = since.offset + 1;
    since.offset = to;
    return gap("slow", first, to);
  }
}
function gap(reason, from = 0, to = -1) {
  return { type: "gap", reason, ...from <= to && { from, to } };
}
function isOffset(value) {
  return Number.isSafeInteger(value) && /** @type {number} */
  value >= 0;
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Position
});
