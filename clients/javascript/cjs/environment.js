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
var environment_exports = {};
__export(environment_exports, {
  findWebSocket: () => findWebSocket,
  platformTimers: () => platformTimers,
  resolveEnvironment: () => resolveEnvironment
});
module.exports = __toCommonJS(environment_exports);
var import_errors = require("./errors.js");
function resolveEnvironment({
  timers = platformTimers,
  now = () => performance.now(),
  date = Date.now,
  random = Math.random,
  // Browsers refuse it as a method of another object.
  fetch = (...args) => globalThis.fetch(...args),
  network = typeof globalThis.addEventListener === "function" ? globalThis : null,
  page = globalThis.document ?? null
} = {}) {
  return { timers, now, date, random, fetch, network, page };
}
function findWebSocket(given = globalThis.WebSocket) {
  try {
    const { process } = (
      /** @type {any} */
      globalThis
    );
    given ??= process.getBuiltinModule("module").createRequire(__filename)("ws");
  } catch {
  }
  if (typeof given === "function") return given;
  throw new import_errors.ClientError("no-websocket", "no WebSocket: pass { WebSocket } of 'ws'");
}
const platformTimers = {
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(timer)
};
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  findWebSocket,
  platformTimers,
  resolveEnvironment
});
