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
var backoff_exports = {};
__export(backoff_exports, {
  backoffDelay: () => backoffDelay,
  backoffOptions: () => backoffOptions
});
module.exports = __toCommonJS(backoff_exports);
var import_errors = require("./errors.js");
function backoffOptions({ minMs = 500, maxMs = 2e4 } = {}) {
  (0, import_errors.checkOptions)(minMs > 0 && maxMs >= minMs && maxMs < Infinity);
  return { minMs, maxMs };
}
function backoffDelay(failures, { minMs, maxMs }, random) {
  return random() * Math.min(maxMs, minMs * 2 ** failures);
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  backoffDelay,
  backoffOptions
});
