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
var address_exports = {};
__export(address_exports, {
  defaultServer: () => defaultServer,
  endpointAddress: () => endpointAddress,
  placeOf: () => placeOf,
  webSocketAddress: () => webSocketAddress,
  withFields: () => withFields,
  withToken: () => withToken
});
module.exports = __toCommonJS(address_exports);
var import_errors = require("./errors.js");
function webSocketAddress(address) {
  let href;
  try {
    if (typeof address !== "string") throw address;
    ({ href } = new URL(address, globalThis.location?.href));
  } catch {
    throw new import_errors.ClientError("invalid-address");
  }
  href = href.replace(/^http/, "ws").replace(/#[^]*/, "");
  if (!/^wss?:/.test(href)) throw new import_errors.ClientError("invalid-address", `not for WebSocket: ${href.split(":")[0]}:`);
  return href;
}
function endpointAddress(server, segments, token) {
  const path = segments.map(encodeSegment).join("/");
  return withToken(webSocketAddress(server).replace(/\/*(\?|$)/, (_, query) => `/${path}${query}`), token);
}
function withToken(address, token) {
  const href = webSocketAddress(address);
  return token ? withFields(href, { token }) : href;
}
function withFields(address, fields) {
  const [place, query = ""] = address.split(/\?([^]*)/);
  const kept = query.split("&").filter((field) => field && !Object.hasOwn(fields, field.replace(/=.*/, "")));
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null) kept.push(`${name}=${encodeURIComponent(value)}`);
  }
  return [place, kept.join("&")].filter(Boolean).join("?");
}
function placeOf(address) {
  return withFields(webSocketAddress(address), { token: null, ticket: null, auth: null, epoch: null, offset: null });
}
function defaultServer() {
  const origin = String(globalThis.location?.origin);
  return /^http/.test(origin) ? webSocketAddress(origin) : "ws://localhost:3000";
}
function encodeSegment(segment) {
  try {
    if (!/^\.{0,2}$/.test(segment)) return encodeURIComponent(segment);
  } catch {
  }
  throw new import_errors.ClientError("invalid-address", `not addressable: '${segment}'`);
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  defaultServer,
  endpointAddress,
  placeOf,
  webSocketAddress,
  withFields,
  withToken
});
