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
var close_codes_exports = {};
__export(close_codes_exports, {
  closeReason: () => closeReason
});
module.exports = __toCommonJS(close_codes_exports);
const REASONS = {
  // The server's own 1000 ends one connection, as the connection timeout of an endpoint
  // does, and not the wish to be connected: that is the application's to end.
  1e3: "server-closed",
  1001: "going-away",
  // What was refused is not sent again, so coming back is safe.
  1002: "message-refused",
  1003: "message-refused",
  1007: "message-refused",
  1009: "message-refused",
  1011: "server-error",
  1012: "server-restart",
  1013: "try-later",
  // The same token would be refused again, for ever.
  1008: "unauthorized",
  3e3: "unauthorized",
  3003: "unauthorized"
};
function closeReason(code) {
  return REASONS[code] ?? "connection-lost";
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  closeReason
});
