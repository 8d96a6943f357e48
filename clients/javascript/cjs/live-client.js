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
var live_client_exports = {};
__export(live_client_exports, {
  LiveClient: () => LiveClient
});
module.exports = __toCommonJS(live_client_exports);
var import_address = require("./address.js");
var import_bytes = require("./bytes.js");
var import_deadline = require("./deadline.js");
var import_errors = require("./errors.js");
var import_random_id = require("./random-id.js");
var import_session = require("./session.js");
var import_subscription = require("./subscription.js");
class LiveClient extends import_session.Session {
  /**
   * @override
   * @protected
   * @type {ReadonlySet<unknown>}
   */
  static localEvents = /* @__PURE__ */ new Set([...super.localEvents, "joined"]);
  /** The subscriptions that are wanted. @type {Map<string, Subscription>} */
  #wanted = /* @__PURE__ */ new Map();
  /**
   * The subscriptions whose confirmations this connection still owes, with the ids of the messages, in
   * the order in which they were asked for.
   *
   * @type {Map<Subscription, string>}
   */
  #owed = /* @__PURE__ */ new Map();
  /** The channels that were left, and the server has not confirmed it, with the ids of the messages. @type {Map<string, string>} */
  #leaving = /* @__PURE__ */ new Map();
  /** The subscriptions that were refused while others were being left. @type {Set<Subscription>} */
  #refused = /* @__PURE__ */ new Set();
  /** The time to ask again for what the server could not go on with. */
  #retry = new import_deadline.Deadline(this.environment.timers);
  #place;
  #device;
  /**
   * @param {TokenSource} [token] A JWT, or a function that gets one before each attempt and
   *   before the present one expires.
   * @param {LiveClientOptions} [options]
   * @throws {ClientError} `invalid-address`, `invalid-option`
   */
  constructor(token, options = {}) {
    const { server = (0, import_address.defaultServer)(), path = "live", device = deviceName() } = options;
    const address = (present) => (0, import_address.endpointAddress)(server, path.replace(/^\/+|\/+$/g, "").split("/"), present);
    super(address, { greet: true, ...options, token });
    this.#device = device;
    this.#place = address(null);
    this.on("state", ({ state }) => {
      if (state === "connected") return;
      for (const subscription of this.subscriptions) this.#wait(subscription);
    });
  }
  /**
   * There is no connection: a subscription waits for one, or nothing more comes for now.
   *
   * @param {Subscription} subscription
   */
  #wait(subscription) {
    const { state, reason } = this;
    const error = state === "failed" ? new import_errors.ClientError("closed") : void 0;
    const isOver = error || state === "closed" && reason === "close-called";
    subscription.turn("subscribing", isOver ? { error } : null);
  }
  /**
   * The subscriptions, in the order in which they were made.
   *
   * @returns {Subscription[]}
   */
  get subscriptions() {
    return [...this.#wanted.values()];
  }
  /**
   * Subscribes to a channel, now or as soon as there is a connection, and again on each new
   * connection, from where it stood. Several calls for one channel share one subscription.
   *
   * @template [T=any] What is published in the channel; a claim that nobody checks.
   * @template [I=any] Its initial state; likewise.
   * @param {string} channel
   * @param {SubscribeOptions} [options] Of the first call for the channel.
   * @returns {Subscription<T, I>}
   * @throws {ClientError} `invalid-address` for an empty name, `invalid-option` for a position that
   *   is none.
   */
  subscribe(channel, options) {
    if (typeof channel !== "string" || channel === "") {
      throw new import_errors.ClientError("invalid-address");
    }
    const known = this.#wanted.get(channel);
    if (known) return known;
    const subscription = this.#add(channel, options);
    this.#ask(subscription);
    if (this.state !== "connected" && subscription.state === "subscribing") this.#wait(subscription);
    return subscription;
  }
  /**
   * @param {string} channel
   * @param {SubscribeOptions} [options]
   */
  #add(channel, options) {
    const leave = (old) => this.#isWanted(old) && this.unsubscribe(channel);
    const subscription = new import_subscription.Subscription(this, channel, leave, options);
    this.#wanted.set(channel, subscription);
    return subscription;
  }
  /** @param {Subscription} subscription */
  #isWanted(subscription) {
    return this.#wanted.get(subscription.channel) === subscription;
  }
  /**
   * Ends the subscription to a channel; without one, does nothing.
   *
   * @param {string} channel
   */
  unsubscribe(channel) {
    const subscription = this.#wanted.get(channel);
    if (!subscription) return;
    this.#wanted.delete(channel);
    if (subscription.state === "subscribed" || this.#owed.has(subscription)) {
      this.#leave(channel, this.requests.newId());
    }
    subscription.turn("unsubscribed", {});
  }
  /**
   * Publishes to a channel, where the server lets clients do so.
   *
   * @param {string} channel
   * @param {any} data Anything that JSON can say; or bytes, as a `Uint8Array` or an `ArrayBuffer`: who listens gets
   *   a `Uint8Array`.
   * @param {RequestOptions} [options]
   * @returns {Promise<WireMessage>} The answer, with the `epoch` and `offset` of the publication, where the
   *   channel has positions. Rejects as `request` does.
   */
  publish(channel, data, options) {
    return this.request({ type: "publish", channel, ...(0, import_bytes.encoded)(data) }, options);
  }
  /**
   * Asks for older publications of a channel that keeps some, whether or not it is subscribed to.
   *
   * @example
   * let page = await live.history('posts');
   * while (page.more) page = await live.history('posts', { before: page.next });
   *
   * @template [T=any] What is published in the channel; a claim that nobody checks.
   * @param {string} channel
   * @param {HistoryOptions} [options]
   * @returns {Promise<ChannelHistory<T>>} The newest of those before it, oldest first; rejects as `request` does
   *   (`no-history` is the `refusal` of a channel that keeps none), with the connection if that is lost, and after 15
   *   seconds.
   */
  history(channel, { before, limit } = {}) {
    const question = { type: "channel-history", channel, before, limit };
    return this.request(question, { repeat: false, timeoutMs: 15e3 });
  }
  /**
   * @param {string} channel
   * @param {string} id
   */
  #leave(channel, id) {
    this.#leaving.set(channel, id);
    if (!this.paused) this.send({ type: "unsubscribe", channel, id });
  }
  /**
   * @override
   * @protected
   */
  place() {
    return this.#place;
  }
  /**
   * @override
   * @protected
   */
  opened() {
    for (const subscription of this.subscriptions) this.#ask(subscription);
    super.opened();
  }
  /**
   * @override
   * @protected
   * @type {Session['released']}
   */
  released(isEnd, code) {
    super.released(isEnd, code);
    this.#retry.clear();
    for (const known of [this.#owed, this.#leaving, this.#refused]) known.clear();
  }
  /**
   * @override
   * @protected
   * @param {WireMessage} message
   */
  accept(message) {
    const { id, channel } = message;
    const subscription = this.#wanted.get(channel);
    switch (message.type) {
      case "subscribed":
        this.requests.support(typeof message["epoch"] === "string");
        if (message["joined"] && id === void 0) this.#join(
          /** @type {Subscribed} */
          message
        );
        else this.#settle(message)?.confirm(
          /** @type {Subscribed} */
          message
        );
        break;
      case "unsubscribed":
        if (message["code"] !== void 0) {
          if (subscription?.state === "subscribed") this.#end(subscription, message);
          break;
        }
        if (id === void 0 || id === this.#leaving.get(channel)) this.#leaving.delete(channel);
        if (this.#leaving.size > 0) break;
        for (const refused2 of this.#refused) if (this.#isWanted(refused2)) this.#ask(refused2);
        this.#refused.clear();
        break;
      case "error":
        if (id !== void 0 && !(message["retryAfterMs"] >= 0)) this.#refuse(message);
        break;
      case "channel-history":
        for (
          const publication of
          /** @type {ChannelHistory} */
          message.publications
        ) (0, import_bytes.decode)(publication);
        break;
      case "update":
        (0, import_bytes.decode)(message);
        return subscription?.take(
          /** @type {Update} */
          message
        ) ?? true;
      case "deleted":
        subscription?.pass(
          /** @type {UpdateDeleted} */
          message
        );
        break;
      case "gap":
        subscription?.skip(
          /** @type {GapMessage} */
          message
        );
        break;
      case "renewed":
        subscription?.renew(
          /** @type {Renewed} */
          message
        );
        break;
    }
    return true;
  }
  /**
   * Makes the server's subscriptions those that are wanted: messages either way may have been dropped.
   *
   * @override
   * @protected
   */
  resumed() {
    for (const [channel, id] of [...this.#leaving]) {
      if (this.#wanted.has(channel)) this.#leaving.delete(channel);
      else this.#leave(channel, id);
    }
    for (const subscription of [...this.#owed.keys()]) {
      if (!this.#isWanted(subscription)) this.#owed.delete(subscription);
    }
    for (const subscription of this.subscriptions) {
      if (subscription.state === "subscribing" && !this.#refused.has(subscription)) this.#ask(subscription);
    }
    super.resumed();
  }
  /**
   * The server has subscribed this client of its own accord.
   *
   * @param {Subscribed} message
   */
  #join(message) {
    const { channel } = message;
    const known = this.#wanted.get(channel);
    if (known?.position || this.#leaving.has(channel)) return;
    const subscription = known ?? this.#add(channel);
    this.#owed.delete(subscription);
    subscription.confirm(message);
    if (!known) this.emit("joined", subscription);
  }
  /**
   * The server has ended a subscription.
   *
   * @param {Subscription} subscription
   * @param {WireMessage} message
   */
  #end(subscription, message) {
    const { retryAfterMs } = message;
    if (retryAfterMs >= 0) {
      subscription.turn("subscribing");
      this.#retry.start(retryAfterMs, () => this.resumed());
    } else {
      this.#wanted.delete(subscription.channel);
      subscription.turn("unsubscribed", { error: (0, import_errors.refused)(message) });
    }
  }
  /** @param {WireMessage} answer */
  #refuse(answer) {
    const subscription = this.#settle(answer);
    if (!subscription) return;
    const { code } = answer;
    if (this.#leaving.size > 0 && (code === void 0 || code === "too-many-channels")) {
      this.#refused.add(subscription);
    } else {
      subscription.turn("refused", { error: (0, import_errors.refused)(answer) });
    }
  }
  /** @param {Subscription} subscription */
  #ask(subscription) {
    if (this.paused) return;
    const { channel, position: since } = subscription;
    const id = this.#owed.get(subscription) ?? this.requests.newId();
    const message = { type: "subscribe", channel, id, device: this.#device, ...since && { since } };
    if (!this.fits(JSON.stringify(message))) subscription.turn("refused", { error: (0, import_errors.tooLarge)() });
    else if (this.send(message)) this.#owed.set(subscription, id);
  }
  /**
   * The subscription that an answer concerns: by its `id` or, where it has none, the first that was
   * asked for.
   *
   * @param {WireMessage} answer
   * @returns {Subscription | undefined} None, if the subscription was ended meanwhile.
   */
  #settle({ id, channel }) {
    for (const [subscription, asked] of this.#owed) {
      if (id === void 0 ? subscription.channel !== channel : asked !== id) continue;
      this.#owed.delete(subscription);
      return this.#isWanted(subscription) ? subscription : void 0;
    }
    return void 0;
  }
}
const DEVICE_KEY = "nextrush-device";
function deviceName() {
  try {
    const { sessionStorage } = globalThis;
    const name = sessionStorage.getItem(DEVICE_KEY) ?? (0, import_random_id.randomId)();
    sessionStorage.setItem(DEVICE_KEY, name);
    return name;
  } catch {
    return (0, import_random_id.randomId)();
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  LiveClient
});
