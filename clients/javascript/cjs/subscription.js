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
var subscription_exports = {};
__export(subscription_exports, {
  Subscription: () => Subscription,
  SubscriptionState: () => SubscriptionState
});
module.exports = __toCommonJS(subscription_exports);
var import_emitter = require("./emitter.js");
var import_errors = require("./errors.js");
var import_position = require("./position.js");
const SubscriptionState = /* @__PURE__ */ Object.freeze({
  /** Asked for, or to be asked for as soon as there is a connection. */
  Subscribing: "subscribing",
  /** The server has confirmed it; updates arrive. */
  Subscribed: "subscribed",
  /** The server has refused it. It is asked again on the next connection. */
  Refused: "refused",
  /** Ended by `unsubscribe` or by the server, for good. */
  Unsubscribed: "unsubscribed"
});
const END = /* @__PURE__ */ Symbol();
const KEPT = 1e3;
class Subscription extends import_emitter.Emitter {
  /** @type {SubscriptionState} */
  #state = "subscribing";
  #position;
  #leave;
  /** @type {End | null} */
  #end = null;
  /**
   * The newest that came: an update, or the initial state if nothing came since.
   *
   * @type {Update<T> | Initial<I> | undefined}
   */
  last;
  /**
   * @param {LiveClient<any>} client
   * @param {string} channel
   * @param {(subscription: Subscription<T, I>) => void} leave Ends the subscription at its owner.
   * @param {SubscribeOptions} [options]
   */
  constructor(client, channel, leave, { since } = {}) {
    super();
    this.client = client;
    this.channel = channel;
    this.#leave = leave;
    this.#position = new import_position.Position(since);
  }
  /**
   * @returns {SubscriptionState}
   */
  get state() {
    return this.#state;
  }
  /**
   * The error with which the server refused or ended it, or the client gave up, if so.
   *
   * @returns {ClientError | undefined}
   */
  get error() {
    return this.#end?.error;
  }
  /**
   * The position up to which the channel was received, if the server keeps positions: another
   * subscription can go on there, also that of another page.
   *
   * @returns {Since | null}
   */
  get position() {
    return this.#position.since;
  }
  /**
   * Sends a request about this channel.
   *
   * @template [R=WireMessage]
   * @param {object} message Gets a field `channel`, and an `id`.
   * @param {RequestOptions} [options]
   * @returns {Promise<R>} As of the client's own `request`.
   */
  request(message, options) {
    return this.client.request({ ...message, channel: this.channel }, options);
  }
  /**
   * Publishes to the channel, where the server lets clients do so; this client is told too.
   *
   * @param {T | ArrayBuffer} data Anything that JSON can say, or bytes: see `LiveClient.publish`.
   * @param {RequestOptions} [options]
   * @returns {Promise<WireMessage>} The answer, with the `epoch` and `offset` of the publication, where the
   *   channel has positions. Rejects as the client's own `request`.
   */
  publish(data, options) {
    return this.client.publish(this.channel, data, options);
  }
  /**
   * Asks for older publications, where the channel keeps some.
   *
   * @param {HistoryOptions} [options]
   * @returns {Promise<ChannelHistory<T>>} The newest of those before it, oldest first; see `LiveClient.history`.
   */
  history(options) {
    return this.client.history(this.channel, options);
  }
  /**
   * Ends the subscription, for everybody who shares it.
   */
  unsubscribe() {
    this.#leave(this);
  }
  /**
   * Changes the state, for the owner.
   *
   * @internal
   * @param {SubscriptionState} state
   * @param {End | null} [end] Why nothing more comes for now, if so.
   */
  turn(state, end = null) {
    this.#end = end;
    if (state !== this.#state) {
      this.#state = state;
      this.emit("state", state);
    }
    if (end) this.emit(END, end);
    if (end?.error && state !== "subscribing") this.emit(state, end.error);
  }
  /**
   * The server has confirmed the subscription.
   *
   * @internal
   * @param {Subscribed} answer
   */
  confirm(answer) {
    const missed = this.#position.resume(answer);
    this.turn("subscribed");
    if (typeof missed === "number") this.emit("recovered", { missed });
    else this.#tell(missed);
    const { channel, data } = answer;
    if (data === void 0) return;
    this.last = { type: "initial", channel, data };
    this.emit("initial", this.last);
  }
  /**
   * An update came.
   *
   * @internal
   * @param {Update<T>} update
   * @returns {boolean} Whether it is new.
   */
  take(update) {
    if (this.#state !== "subscribed") return false;
    const news = this.#position.take(update.offset);
    if (!news) return false;
    if (news !== true) this.#tell(news);
    this.last = update;
    this.emit("update", update);
    return true;
  }
  /**
   * An update was deleted.
   *
   * @internal
   * @param {UpdateDeleted} message
   */
  pass(message) {
    if (this.#state !== "subscribed") return;
    this.#position.pass(message.offset);
    this.emit("deleted", message);
  }
  /**
   * The server says that publications are lost.
   *
   * @internal
   * @param {GapMessage} message
   */
  skip(message) {
    this.#tell(this.#position.skip(message));
  }
  /**
   * The stream goes on under another epoch.
   *
   * @internal
   * @param {Renewed} message
   */
  renew(message) {
    this.#tell(this.#position.renew(message));
  }
  /** @param {Gap | null} gap */
  #tell(gap) {
    if (gap) this.emit("gap", gap);
  }
  /**
   * The updates from now on, with the gaps and initial states between them, until the subscription ends or the client
   * is closed. Leaving the loop leaves the subscription as it is.
   *
   * Throws a `ClientError`, after what has come: `refused` when the server refuses or ends the channel,
   * `closed` when the client gives up (state `failed`), `overflow` for a reader who is 1,000 behind.
   *
   * @returns {AsyncGenerator<Update<T> | Initial<I> | Gap, void, undefined>}
   */
  [Symbol.asyncIterator]() {
    const queue = this.#end ? [this.#end] : [];
    let wake = () => {
    };
    const push = (event) => {
      if (queue.length < KEPT || !("type" in event)) queue.push(event);
      else queue[KEPT] = { error: new import_errors.ClientError("overflow") };
      wake();
    };
    const stops = ["initial", "update", "gap", END].map((type) => this.on(
      /** @type {any} */
      type,
      push
    ));
    return (async function* () {
      try {
        for (; ; ) {
          const event = queue.shift();
          if (!event) await new Promise((resolve) => wake = () => resolve(null));
          else if ("type" in event) yield event;
          else if (event.error) throw event.error;
          else return;
        }
      } finally {
        for (const stop of stops) stop();
      }
    })();
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Subscription,
  SubscriptionState
});
