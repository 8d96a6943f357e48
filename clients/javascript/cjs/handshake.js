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
var handshake_exports = {};
__export(handshake_exports, {
  refusalOf: () => refusalOf
});
module.exports = __toCommonJS(handshake_exports);
async function refusalOf(fetch, address, signal, bearer) {
  const response = await fetch(address.replace(/^ws/, "http"), {
    headers: { accept: "application/json", ...bearer && { authorization: `Bearer ${bearer}` } },
    cache: "no-store",
    redirect: "manual",
    signal
  });
  const { status } = response;
  if (status < 400 || status === UPGRADE_REQUIRED) return null;
  const body = bodyOf(await response.text());
  const code = body.code ?? CODES[status];
  if (code === void 0) return null;
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  const later = seconds >= 0 && { retryAfterMs: seconds * 1e3 };
  return {
    answer: { message: `HTTP ${status}`, ...later, ...body, type: "error", code },
    verdict: TOKEN_CODES.has(code) ? "unauthorized" : FINAL_CODES.has(code) ? "refused" : void 0
  };
}
const UPGRADE_REQUIRED = 426;
const CODES = { 401: "authentication-required", 429: "rate-limited", 503: "unavailable" };
const TOKEN_CODES = /* @__PURE__ */ new Set(["authentication-required", "invalid-token", "token-expired"]);
const FINAL_CODES = /* @__PURE__ */ new Set(["forbidden", "invalid-name", "not-found", "origin-refused"]);
function bodyOf(text) {
  try {
    const value = JSON.parse(text);
    return Array.isArray(value) ? {} : Object(value);
  } catch {
    return {};
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  refusalOf
});
