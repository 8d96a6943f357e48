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
var svelte_exports = {};
__export(svelte_exports, {
  channelStore: () => channelStore
});
module.exports = __toCommonJS(svelte_exports);
var import_listen = require("./listen.js");
function channelStore(live, channel, value, reduce, options) {
  const runs = /* @__PURE__ */ new Set();
  const take = (event) => {
    value = reduce(value, event);
    for (const run of [...runs]) run(value);
  };
  let stop = () => {
  };
  return {
    subscribe(run) {
      const own = (next) => run(next);
      if (runs.size === 0) stop = (0, import_listen.listen)(live, channel, { update: take, initial: take, gap: take }, options);
      runs.add(own);
      run(value);
      return () => {
        if (runs.delete(own) && runs.size === 0) stop();
      };
    }
  };
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  channelStore
});
