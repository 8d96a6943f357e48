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
var size_limit_exports = {};
__export(size_limit_exports, {
  SizeLimit: () => SizeLimit
});
module.exports = __toCommonJS(size_limit_exports);
const LEAST_BYTES = 512;
class SizeLimit {
  #bytes = Infinity;
  /** The size of the longest message on this connection. */
  #longest = 0;
  /** @param {string} text */
  fits(text) {
    return sizeOf(text) <= this.#bytes;
  }
  /** @param {string} text What goes out. */
  sent(text) {
    this.#longest = Math.max(this.#longest, sizeOf(text));
  }
  /** The connection is over. */
  ended() {
    this.#longest = 0;
  }
  /** @param {unknown} bytes What the server says. */
  told(bytes) {
    if (Number(bytes) >= LEAST_BYTES) this.#bytes = Number(bytes);
  }
  /** Something was too long for the server. Whatever it was, the longest message is. */
  exceeded() {
    if (this.#longest > LEAST_BYTES) this.#bytes = Math.min(this.#bytes, this.#longest - 1);
  }
}
function sizeOf(text) {
  let bytes = 0;
  for (const char of text) {
    const point = Number(char.codePointAt(0));
    bytes += point < 128 ? 1 : point < 2048 ? 2 : point < 65536 ? 3 : 4;
  }
  return bytes;
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  SizeLimit
});
