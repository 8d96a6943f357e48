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
  ChatClient: () => import_chat_client.ChatClient,
  Client: () => import_client.Client,
  ClientError: () => import_errors.ClientError,
  ErrorCode: () => import_errors.ErrorCode,
  LiveClient: () => import_live_client.LiveClient,
  Outbox: () => import_outbox.Outbox,
  Presence: () => import_presence.Presence,
  Reason: () => import_states.Reason,
  State: () => import_states.State,
  Subscription: () => import_subscription.Subscription,
  SubscriptionState: () => import_subscription.SubscriptionState,
  TypingUsers: () => import_typing.TypingUsers,
  hold: () => import_listen.hold,
  listen: () => import_listen.listen
});
module.exports = __toCommonJS(index_exports);
var import_chat_client = require("./chat-client.js");
var import_client = require("./client.js");
var import_errors = require("./errors.js");
var import_listen = require("./listen.js");
var import_live_client = require("./live-client.js");
var import_outbox = require("./outbox.js");
var import_presence = require("./presence.js");
var import_states = require("./states.js");
var import_subscription = require("./subscription.js");
var import_typing = require("./typing.js");
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  ChatClient,
  Client,
  ClientError,
  ErrorCode,
  LiveClient,
  Outbox,
  Presence,
  Reason,
  State,
  Subscription,
  SubscriptionState,
  TypingUsers,
  hold,
  listen
});
