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
var tanstack_query_exports = {};
__export(tanstack_query_exports, {
  liveQuery: () => liveQuery
});
module.exports = __toCommonJS(tanstack_query_exports);
var import_listen = require("./listen.js");
const KEPT = 1e3;
function liveQuery(queries, live, channel, { queryKey, apply, initial: start }) {
  let late = [];
  let isFollowed = false;
  const filters = { queryKey, exact: true };
  const put = (update) => queries.setQueryData(queryKey, (data) => data === void 0 ? data : apply(data, update));
  let again = false;
  const load = () => {
    if (start) return;
    const { data, fetchStatus } = queries.getQueryState(queryKey) ?? {};
    again = data === void 0 && fetchStatus === "fetching";
    if (!again) void queries.invalidateQueries(filters);
  };
  const follow = (state) => {
    if (isFollowed || state !== "subscribed") return;
    isFollowed = true;
    load();
  };
  const cache = queries.getQueryCache();
  const unwatch = cache.subscribe(({ type, query, action }) => {
    if (type !== "updated" || action.type !== "success" || action.manual || query !== cache.find(filters)) return;
    for (const update of late.splice(0)) put(update);
    if (again) load();
  });
  const stop = (0, import_listen.listen)(live, channel, {
    update: (update) => {
      if (queries.getQueryState(queryKey)?.fetchStatus !== "idle") late.push(update);
      if (late.length > KEPT) {
        late = [];
        load();
      }
      put(update);
    },
    initial: (initial) => {
      if (!start) return;
      late = [];
      queries.setQueryData(queryKey, start(initial));
    },
    gap: load,
    state: follow
  });
  follow(live.subscribe(channel).state);
  return () => {
    unwatch();
    stop();
  };
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  liveQuery
});
