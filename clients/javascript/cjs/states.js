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
var states_exports = {};
__export(states_exports, {
  Reason: () => Reason,
  State: () => State
});
module.exports = __toCommonJS(states_exports);
const State = /* @__PURE__ */ Object.freeze({
  /** An attempt is under way: the address is being asked for, or the handshake runs. */
  Connecting: "connecting",
  /** The connection is open; `send` works. */
  Connected: "connected",
  /** The connection is lost, and the client will come back by itself. */
  Disconnected: "disconnected",
  /**
   * The connection is lost, and the platform is the reason: it has no network, or put the page
   * to sleep. The client comes back as soon as the platform does; meanwhile attempts are not
   * counted.
   */
  Suspended: "suspended",
  /** No connection, and none wanted: before the first `connect()` and after `close()`. */
  Closed: "closed",
  /** The client gave up. Only `connect()` starts it again. */
  Failed: "failed"
});
const Reason = /* @__PURE__ */ Object.freeze({
  /** Closed: `connect()` was never called. */
  New: "new",
  /** Connecting: the application called `connect()`. */
  Connect: "connect",
  /** Connecting: the wait after a lost connection is over. */
  Retry: "retry",
  /** Connecting: the platform reports that the network is back. */
  Online: "online",
  /** Connecting: the page is shown again, or the machine woke from sleep. */
  Awake: "awake",
  /** Connected: the handshake succeeded. */
  Opened: "opened",
  /** Closed: the application called `close()`. */
  CloseCalled: "close-called",
  /** Disconnected: the connection could not be opened. */
  ConnectFailed: "connect-failed",
  /** Disconnected or failed: the server refuses the handshake; the `error` says why. */
  Refused: "refused",
  /** Disconnected: the connection did not open in time. */
  ConnectTimeout: "connect-timeout",
  /** Disconnected: the function that gives the address failed. */
  NoAddress: "no-address",
  /** Disconnected: the connection broke, or closed with a code without special meaning. */
  ConnectionLost: "connection-lost",
  /** Disconnected: the connection is open but nothing was heard on it any more. */
  NoAnswer: "no-answer",
  /** Disconnected: the server refused the token, or ended the connection of an expired one (1008, 3000, 3003), and the token function is asked. */
  TokenRefused: "token-refused",
  /** Suspended: the platform reports that the network is gone. */
  Offline: "offline",
  /** Suspended: the page went to the back-forward cache. */
  Asleep: "asleep",
  /** Disconnected: the server ended this connection in the normal way (1000). */
  ServerClosed: "server-closed",
  /** Disconnected: the server is going away (1001). */
  GoingAway: "going-away",
  /** Disconnected: the server could not accept something this client sent (1002, 1003, 1007, 1009). */
  MessageRefused: "message-refused",
  /** Disconnected: the server failed while serving this connection (1011). */
  ServerError: "server-error",
  /** Disconnected: the server restarts (1012). */
  ServerRestart: "server-restart",
  /** Disconnected: the server is overloaded (1013). */
  TryLater: "try-later",
  /** Failed: the server refuses this client (1008, 3000, 3003), or there is no token: log in again. */
  Unauthorized: "unauthorized",
  /** Failed: `maxReconnectAttempts` attempts in a row failed. */
  AttemptsExhausted: "attempts-exhausted",
  /** Failed: the address or the subprotocols are not usable. */
  Misconfigured: "misconfigured"
});
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Reason,
  State
});
