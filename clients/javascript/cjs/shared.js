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
var shared_exports = {};
__export(shared_exports, {
  shared: () => shared
});
module.exports = __toCommonJS(shared_exports);
function shared(begin, end) {
  const owners = /* @__PURE__ */ new WeakMap();
  return (owner, name = "") => {
    const users = owners.get(owner) ?? /* @__PURE__ */ new Map();
    owners.set(owner, users);
    const before = users.get(name);
    users.set(name, (before ?? 0) + 1);
    if (before === void 0) begin(owner, name);
    let isUser = true;
    return () => {
      if (!isUser) return;
      isUser = false;
      users.set(name, users.get(name) - 1);
      queueMicrotask(() => {
        if (users.get(name) !== 0) return;
        users.delete(name);
        end(owner, name);
      });
    };
  };
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  shared
});
