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
var token_exports = {};
__export(token_exports, {
  expiryOf: () => expiryOf,
  lifetimeOf: () => lifetimeOf,
  refreshDelay: () => refreshDelay,
  userKey: () => userKey,
  userOf: () => userOf
});
module.exports = __toCommonJS(token_exports);
function expiryOf(token) {
  return claimsOf(token).exp * 1e3;
}
function lifetimeOf(token) {
  const { iat, exp } = claimsOf(token);
  return (exp - iat) * 1e3 || Infinity;
}
function userOf(token) {
  const { id, sub } = claimsOf(token);
  return userKey(id ?? sub);
}
function userKey(id) {
  return typeof id === "string" || typeof id === "number" ? JSON.stringify(id) : void 0;
}
function claimsOf(token) {
  try {
    const [, base64] = (
      /** @type {any} */
      token.split(".")
    );
    const bytes = atob(base64.replaceAll("-", "+").replaceAll("_", "/"));
    const escaped = Array.from(bytes, (byte) => `%${(byte.charCodeAt(0) + 256).toString(16).slice(1)}`);
    return Object(JSON.parse(decodeURIComponent(escaped.join(""))));
  } catch {
    return {};
  }
}
function refreshDelay(lifetimeMs) {
  return Math.max(1e4, lifetimeMs - Math.min(6e4, lifetimeMs / 5));
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  expiryOf,
  lifetimeOf,
  refreshDelay,
  userKey,
  userOf
});
