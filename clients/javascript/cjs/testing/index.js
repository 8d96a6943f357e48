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
var index_exports = {};
__export(index_exports, {
  testWorld: () => testWorld
});
module.exports = __toCommonJS(index_exports);
var import_contract_server = require("./contract-server.js");
var import_linked_world = require("./linked-world.js");
function testWorld({ users = () => void 0, initial, channels, history, commands } = {}) {
  const now = () => clock.date();
  const userOfToken = (token) => users(token) ?? token;
  const server = new import_contract_server.ContractServer({ initial, own: channels, history, commands, userOfToken, now });
  const w = (0, import_linked_world.linkedWorld)(server);
  const { clock, options } = w;
  const settle = async () => {
    for (let quiet = 0; quiet < 20; quiet += 1) {
      await null;
      if (w.step()) quiet = 0;
    }
  };
  return {
    options,
    settle,
    publish: async (channel, data) => {
      const isBytes = data instanceof Uint8Array;
      server.publish(channel, isBytes ? btoa(String.fromCharCode(...data)) : data, isBytes ? "base64" : void 0);
      await settle();
    },
    advance: async (ms) => {
      for (let left = ms; left >= 0; ) {
        const step = Math.min(left, clock.next);
        clock.advance(step);
        await settle();
        left = step < left ? left - step : -1;
      }
    },
    lose: async () => {
      for (const link of w.alive()) link.break();
      await settle();
    },
    forget: () => server.forget(`e${epochs += 1}`),
    kick: async (user, channel, why) => {
      server.kick(user, channel, why);
      await settle();
    },
    request: async (user, name, data) => {
      const before = server.responses.length;
      server.ask(user, name, data);
      await settle();
      return server.responses.slice(before).map(({ data: data2, error }) => error ? { error } : { data: data2 });
    },
    subscribers: (channel) => server.subscribers(channel),
    get connections() {
      return server.connections;
    },
    get commands() {
      return [...server.commands];
    }
  };
}
let epochs = 1;
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  testWorld
});
