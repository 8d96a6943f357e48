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
  withToken: () => withToken
});
module.exports = __toCommonJS(address_exports);
var import_errors = require("./errors.js");
function webSocketAddress(address) {
  return parse(address).href;
}
function endpointAddress(server, segments, token) {
  const url = parse(server);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${segments.map(encodeSegment).join("/")}`;
  return withToken(url.href, token);
}
function withToken(address, token) {
  const url = parse(address);
  if (token) url.searchParams.set("token", token);
  return url.href;
}
function placeOf(address) {
  const url = parse(address);
  for (const name of ["token", "epoch", "offset"]) url.searchParams.delete(name);
  return url.href;
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
function parse(address) {
  let url;
  try {
    if (typeof address !== "string") throw address;
    url = new URL(address, globalThis.location?.href);
  } catch {
    throw new import_errors.ClientError("invalid-address");
  }
  url.protocol = url.protocol.replace("http", "ws");
  if (!/^wss?:$/.test(url.protocol)) throw new import_errors.ClientError("invalid-address", `not for WebSocket: ${url.protocol}`);
  url.hash = "";
  return url;
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  defaultServer,
  endpointAddress,
  placeOf,
  webSocketAddress,
  withToken
});
