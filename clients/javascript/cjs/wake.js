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
var wake_exports = {};
__export(wake_exports, {
  watchPlatform: () => watchPlatform
});
module.exports = __toCommonJS(wake_exports);
const TICK_MS = 3e4;
const SLEPT_MS = 15e4;
function watchPlatform({ network, page, timers, now, date }, { online, offline, asleep, awake }) {
  const listeners = [
    [network, "online", online],
    [network, "offline", offline],
    [network, "pagehide", ({ persisted }) => persisted && asleep()],
    [network, "pageshow", ({ persisted }) => persisted && awake(true)],
    [page, "visibilitychange", () => page?.visibilityState === "visible" && awake(false)],
    // A page that was frozen may be shown without the event above.
    [page, "resume", () => awake(false)]
  ];
  for (const [target, type, listener] of listeners) target?.addEventListener(type, listener);
  const late = (ms) => ms > TICK_MS + SLEPT_MS;
  let last = now();
  let lastDate = date();
  const tick = () => {
    const slept = late(now() - last);
    const perhaps = late(date() - lastDate);
    last = now();
    lastDate = date();
    timer = timers.setTimeout(tick, TICK_MS);
    if (slept || perhaps) awake(slept);
  };
  let timer = timers.setTimeout(tick, TICK_MS);
  return () => {
    timers.clearTimeout(timer);
    for (const [target, type, listener] of listeners) target?.removeEventListener(type, listener);
  };
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  watchPlatform
});
