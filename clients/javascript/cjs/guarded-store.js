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
var guarded_store_exports = {};
__export(guarded_store_exports, {
  guardedStore: () => guardedStore
});
module.exports = __toCommonJS(guarded_store_exports);
var import_deadline = require("./deadline.js");
const ANSWER_MS = 5e3;
function guardedStore(store, { timers, failed, readable }) {
  let told = false;
  const tell = (cause) => {
    if (!told) failed(cause);
    told = true;
  };
  const watch = async (work) => {
    const deadline = new import_deadline.Deadline(timers);
    try {
      return await new Promise((resolve, reject) => {
        deadline.start(ANSWER_MS, () => reject(new Error("the store does not answer")));
        Promise.resolve(work()).then(resolve, reject);
      });
    } catch (cause) {
      tell(cause);
      throw cause;
    } finally {
      deadline.clear();
    }
  };
  return {
    load: async () => {
      let isOver = false;
      const loaded = await watch(async () => {
        const list = await store.load();
        if (!Array.isArray(list)) throw new TypeError("no list of requests");
        if (isOver) readable();
        return list;
      }).finally(() => isOver = true);
      const requests = loaded.filter(isRequest);
      if (requests.length < loaded.length) tell(new TypeError("not only requests"));
      return requests;
    },
    put: (request) => watch(() => store.put(request)),
    remove: (id) => watch(() => store.remove(id))
  };
}
function isRequest(stored) {
  return typeof stored?.id === "string" && typeof stored.message === "object" && stored.message;
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  guardedStore
});
