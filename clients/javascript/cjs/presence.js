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
var presence_exports = {};
__export(presence_exports, {
  Presence: () => Presence
});
module.exports = __toCommonJS(presence_exports);
var import_deadline = require("./deadline.js");
var import_emitter = require("./emitter.js");
var import_presence_state = require("./presence-state.js");
var import_random_id = require("./random-id.js");
const TYPING_MS = 6e3;
class Presence extends import_emitter.Emitter {
  #subscription;
  #list = new import_presence_state.PresenceState();
  /** The data of this device, told again on each connection. @type {D | undefined} */
  #data;
  /** The mark in the data by which others see that this device is typing. */
  #mark = (0, import_random_id.randomId)();
  /** The time at which it counts as typing no more. */
  #typing;
  /** @type {(() => void)[]} */
  #stops;
  /**
   * Subscribes to the channel, if that is not done yet.
   *
   * @overload
   * @param {LiveClient<any>} live
   * @param {string} channel
   */
  /**
   * @overload
   * @param {Subscription} subscription
   */
  /**
   * @param {any} live
   * @param {string} [name]
   */
  constructor(live, name) {
    super();
    const subscription = name === void 0 ? live : live.subscribe(name);
    const { client, channel } = subscription;
    this.#subscription = subscription;
    this.#typing = new import_deadline.Deadline(
      /** @type {any} */
      client.environment.timers
    );
    this.#stops = [
      subscription.on("state", (state) => {
        if (state === "subscribed") this.#enter();
        else if (state === "unsubscribed" && this.#list.clear()) this.emit("change", this.members);
      }),
      client.on("presence", (snapshot) => {
        if (snapshot.channel !== channel) return;
        const before = this.members;
        const wanted = this.#list.snapshot(snapshot);
        if (wanted !== null) this.#ask(wanted);
        if (this.members !== before) this.emit("change", this.members);
      }),
      client.on("presence-diff", (diff) => {
        if (diff.channel !== channel) return;
        const before = this.members;
        if (!this.#list.diff(diff)) this.#ask();
        if (this.members !== before) this.emit("change", this.members);
      })
    ];
    if (subscription.state === "subscribed") this.#ask();
  }
  /**
   * The members, in the order in which they came, this user included. While disconnected: those
   * of the lost connection. The same array until something changes.
   *
   * @returns {readonly PresenceMember<D, U>[]}
   */
  get members() {
    return (
      /** @type {readonly PresenceMember<D, any>[]} */
      this.#list.list
    );
  }
  /**
   * Tells the others something about this device, now and after each reconnect.
   *
   * @param {D} data Anything that JSON can say.
   */
  update(data) {
    this.#data = data;
    if (this.#subscription.state === "subscribed") this.#tell();
  }
  /**
   * The others who are typing in the channel, in the order in which they came: those who said so by
   * `setTyping`, each once.
   *
   * @returns {U[]}
   */
  get typingUsers() {
    const types = ({ data }) => data?.typing && data.typing !== this.#mark;
    return this.members.filter(({ devices }) => devices.some(types)).map(({ user }) => user);
  }
  /**
   * Tells the others whether somebody is typing here; may be called at each key press. It is told when it
   * changes, and ends by itself six seconds after the last call. What `update` tells beside it must be an object.
   *
   * @param {boolean} isTyping
   */
  setTyping(isTyping) {
    const was = this.#typing.set;
    const changed = () => this.#subscription.state === "subscribed" && this.#tell();
    if (isTyping) this.#typing.start(TYPING_MS, changed);
    else this.#typing.clear();
    if (was !== isTyping) changed();
  }
  /** Stops listening. The subscription stays. */
  close() {
    this.#typing.clear();
    for (const stop of this.#stops) stop();
  }
  #enter() {
    this.#list.forget();
    this.#ask();
    if (this.#data !== void 0 || this.#typing.set) this.#tell();
  }
  /**
   * @param {number} [after] The place at which the wanted page begins.
   */
  #ask(after = 0) {
    this.#request({ type: "presence", after });
  }
  #tell() {
    const data = this.#data;
    const told = this.#typing.set ? { ...data, typing: this.#mark } : data ?? {};
    this.#request({ type: "presence-update", data: told }, () => {
      if (this.#data === data) this.#data = void 0;
    });
  }
  /**
   * Asks the server. A question that is lost with the connection is repeated on the next one.
   *
   * @param {object} message
   * @param {() => void} [unsayable] Called when it can never be sent.
   */
  #request(message, unsayable = () => {
  }) {
    this.#subscription.request(message, { repeat: false }).catch((error) => {
      const never = [error.code, error.refusal].some((code) => code === "too-large" || code === "invalid-message");
      if (never) unsayable();
      if (never || error.code === "refused") this.emit("refused", error);
    });
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Presence
});
