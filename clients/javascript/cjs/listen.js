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
var listen_exports = {};
__export(listen_exports, {
  hold: () => hold,
  listen: () => listen
});
module.exports = __toCommonJS(listen_exports);
var import_shared = require("./shared.js");
function hold(client) {
  return connections(client);
}
function listen(live, channel, listeners, options) {
  const subscription = live.subscribe(channel, options);
  const stops = [
    subscriptions(live, channel),
    ...Object.entries(listeners).map(([type, listener]) => subscription.on(
      /** @type {any} */
      type,
      listener
    ))
  ];
  return () => {
    for (const stop of stops.splice(0)) stop();
  };
}
const connections = (0, import_shared.shared)(
  (client) => client.connect(),
  (client) => client.close()
);
const subscriptions = (0, import_shared.shared)(
  () => {
  },
  (live, channel) => live.unsubscribe(channel)
);
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  hold,
  listen
});
