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
var tab_line_exports = {};
__export(tab_line_exports, {
  TabLine: () => TabLine
});
module.exports = __toCommonJS(tab_line_exports);
var import_message = require("./message.js");
var import_random_id = require("./random-id.js");
var import_tab_lane = require("./tab-lane.js");
const IMPATIENCE_MS = 4e3;
const REMEMBERED = 1e4;
class TabLine {
  /** @type {Set<string>} */
  sockets = /* @__PURE__ */ new Set();
  #options;
  /** The first one is for everything that belongs to no channel. @type {TabLane[]} */
  #lanes = [];
  #ended = false;
  /** The message that each socket begins with, where the token comes in one. @type {string | undefined} */
  #auth;
  /** @type {Map<string, Channel>} */
  #channels = /* @__PURE__ */ new Map();
  /** The senders of the messages that are to be answered, by the ids of these. @type {Map<string, { socket: string, lane: TabLane }>} */
  #senders = /* @__PURE__ */ new Map();
  /** The sockets that have not answered a request of the server yet. @type {Map<string, Set<string>>} */
  #asking = /* @__PURE__ */ new Map();
  /**
   * @param {object} options
   * @param {() => WebSocketLike} options.open Opens a socket.
   * @param {(message: Omit<TabMessage, 'from'>) => void} options.tell
   * @param {() => void} options.ended
   * @param {Timers} options.timers
   * @param {() => number} options.now
   */
  constructor(options) {
    this.#options = options;
    this.#open();
  }
  /** @param {string} socket */
  join(socket) {
    if (this.sockets.has(socket)) return;
    this.sockets.add(socket);
    if (!this.#main.isOpen) return;
    this.#options.tell({ kind: "opened", to: [socket] });
    for (const [name, { joined, sockets, since }] of this.#channels) {
      if (!joined) continue;
      sockets.add(socket);
      this.#answer([socket], { type: "subscribed", channel: name, joined, ...since });
    }
  }
  /** @param {string} socket */
  leave(socket) {
    this.sockets.delete(socket);
    for (const channel of [...this.#channels.keys()]) this.#unsubscribe(socket, channel);
    const isDead = this.#lanes.some((lane) => lane.isSilentFor(IMPATIENCE_MS));
    if (this.sockets.size === 0 || isDead) this.#end({ code: 1006, reason: "" });
  }
  get #main() {
    return (
      /** @type {TabLane} */
      this.#lanes[0]
    );
  }
  /** @returns {TabLane} */
  #open() {
    const socket = this.#options.open();
    const lane = new import_tab_lane.TabLane(socket, this.#options);
    this.#lanes.push(lane);
    if (this.#auth) lane.send(this.#auth);
    let opened = false;
    socket.addEventListener("open", () => {
      opened = true;
      if (lane === this.#main) this.#broadcast({ kind: "opened" });
    });
    socket.addEventListener("message", ({ data }) => this.#receive(data, lane));
    socket.addEventListener("error", () => {
      if (lane === this.#main) this.#broadcast({ kind: "error" });
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (!this.#lanes.includes(lane)) return;
      if (opened || lane === this.#main) this.#end({ code, reason });
      else this.#drop(lane);
    });
    return lane;
  }
  /**
   * @param {{ code: number, reason: string }} how
   */
  #end({ code, reason }) {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.ended();
    this.#broadcast({ kind: "closed", code, reason });
    this.sockets.clear();
    for (const lane of this.#lanes) lane.close();
  }
  /**
   * There is no further socket to be had: its channels are refused.
   *
   * @param {TabLane} lane
   */
  #drop(lane) {
    if (this.#ended) return;
    this.#lanes = this.#lanes.filter((other) => other !== lane);
    for (const channel of [...this.#channels.values()]) {
      if (channel.lane !== lane) continue;
      for (const { message } of channel.waiting) {
        const { id } = message;
        this.#settle({ type: "error", id, code: "too-many-channels", message: "Too many channels" });
      }
    }
  }
  /** A socket that can have another channel. */
  #laneWithRoom() {
    return this.#lanes.find(({ hasRoom }) => hasRoom) ?? this.#open();
  }
  /**
   * @param {string} socket
   * @param {string} data
   */
  send(socket, data) {
    const message = (0, import_message.parseMessage)(data);
    if (!message || !this.#main.isOpen) return;
    const { type, id, channel } = message;
    if (type === "auth") {
      if (!this.#auth) this.#main.send(data);
      this.#auth = data;
    } else if (type === "subscribe") this.#subscribe({ socket, message: { ...message, device: void 0 } });
    else if (type === "unsubscribe") {
      this.#unsubscribe(socket, channel);
      this.#answer([socket], { type: "unsubscribed", channel, ...id !== void 0 && { id } });
    } else if (type === "response") {
      const others = this.#asking.get(id);
      others?.delete(socket);
      if (!others || message["error"]?.code === "no-handler" && others.size > 0) return;
      this.#asking.delete(id);
      this.#main.send(data);
    } else {
      if ((type === "ping" || type === "hello") && !this.#lanes.map((lane2) => lane2.ping(lane2 === this.#main)).every(Boolean)) {
        return this.#end({ code: 1006, reason: "" });
      }
      if (type === "refresh") {
        this.#auth &&= JSON.stringify({ type: "auth", token: message["token"] });
        for (const lane2 of this.#lanes.slice(1)) lane2.send(data);
      }
      const lane = this.#channels.get(channel)?.lane ?? this.#main;
      if (typeof id === "string") remember(this.#senders, id, { socket, lane });
      lane.send(data);
    }
  }
  /** @param {Request} request */
  #subscribe(request) {
    const name = request.message["channel"];
    const channel = this.#channels.get(name) ?? {
      sockets: /* @__PURE__ */ new Set(),
      waiting: [],
      since: null,
      subscribed: false,
      lane: this.#laneWithRoom()
    };
    this.#channels.set(name, channel);
    const { id } = request.message;
    if (id !== void 0 && channel.waiting.some(({ message }) => message["id"] === id)) return;
    channel.waiting.push(request);
    if (channel.waiting.length === 1) this.#ask(channel);
  }
  /**
   * Answers the first that waits, or asks the server.
   *
   * @param {Channel} channel
   */
  #ask(channel) {
    for (let [next] = channel.waiting; next; [next] = channel.waiting) {
      const { socket, message } = next;
      const { since } = message;
      const at = channel.since;
      const here = at && since && since.epoch === at.epoch && since.offset === at.offset;
      if (!channel.subscribed || (since ? at && !here : channel.initial)) {
        if (channel.subscribed) channel.lane.unsubscribe(message["channel"]);
        channel.lane.subscribe(message);
        return;
      }
      channel.waiting.shift();
      channel.sockets.add(socket);
      this.#answer([socket], {
        type: "subscribed",
        channel: message["channel"],
        id: message["id"],
        ...at,
        ...here && { recovered: true }
      });
    }
  }
  /**
   * @param {string} socket
   * @param {string} name
   */
  #unsubscribe(socket, name) {
    const channel = this.#channels.get(name);
    if (!channel) return;
    const [first] = channel.waiting;
    if (first?.socket === socket) first.cancelled = true;
    channel.waiting = channel.waiting.filter(
      (request) => request === first || request.socket !== socket
    );
    channel.sockets.delete(socket);
    if (channel.sockets.size > 0 || channel.waiting.length > 0) return;
    this.#channels.delete(name);
    channel.lane.unsubscribe(name);
  }
  /**
   * @param {unknown} data
   * @param {TabLane} lane
   */
  #receive(data, lane) {
    if (this.#ended) return;
    const message = (0, import_message.parseMessage)(data);
    const text = (
      /** @type {string} */
      data
    );
    lane.heard(message, () => this.#resume(lane));
    if (message?.type === "unsubscribed" && message["code"] !== void 0) this.#lose(message, lane, text);
    if (message?.type === "unsubscribed" && lane !== this.#main && lane.isIdle) {
      this.#lanes = this.#lanes.filter((other) => other !== lane);
      lane.close();
      return;
    }
    if (!message) {
      this.#pass([...this.sockets], text);
      return;
    }
    const { type, id } = message;
    const found = this.#channels.get(message["channel"]);
    const channel = found?.lane === lane ? found : void 0;
    const later = type === "error" && message["retryAfterMs"] >= 0;
    if (type === "subscribed" && message["joined"] && id === void 0) this.#join(message, lane, text);
    else if (type === "request") this.#request(message, lane, text);
    else if (type === "subscribed" || type === "error" && this.#asked(id)) {
      if (!later && !this.#move(message)) this.#settle(message);
    } else if (channel && (type === "update" || type === "gap" || type === "deleted")) {
      const offset = type === "gap" ? message["to"] : message["offset"];
      if (channel.since && offset > channel.since.offset) channel.since.offset = offset;
      this.#pass([...channel.sockets], text);
    } else if (channel && type === "renewed") {
      const { epoch, offset } = message;
      if (channel.since) channel.since = { epoch, offset: Math.min(channel.since.offset, offset) };
      this.#pass([...channel.sockets], text);
    } else if (channel && type === "presence-diff") {
      this.#pass([...channel.sockets], text);
    } else if (typeof id === "string" && this.#senders.has(id)) {
      const sender = (
        /** @type {{ socket: string, lane: TabLane }} */
        this.#senders.get(id)
      );
      if (sender.lane !== lane) return;
      this.#pass([sender.socket], text);
      if (!later) this.#senders.delete(id);
    } else if (type !== "unsubscribed" && (lane === this.#main || later || channel)) {
      this.#pass([...this.sockets], text);
    }
  }
  /**
   * The server has ended the subscription to a channel.
   *
   * @param {WireMessage} message
   * @param {TabLane} lane
   * @param {string} text
   */
  #lose({ channel: name }, lane, text) {
    const channel = this.#channels.get(name);
    if (channel?.lane !== lane || !channel.subscribed || channel.waiting.length > 0) return;
    this.#channels.delete(name);
    lane.channels.delete(name);
    this.#pass([...channel.sockets], text);
  }
  /**
   * The server has subscribed the line of its own accord.
   *
   * @param {WireMessage} message
   * @param {TabLane} lane
   * @param {string} text
   */
  #join({ channel, epoch, offset }, lane, text) {
    if (lane !== this.#main || this.#channels.has(channel)) return;
    const since = typeof epoch === "string" ? { epoch, offset } : null;
    lane.channels.add(channel);
    const sockets = new Set(this.sockets);
    this.#channels.set(channel, { sockets, waiting: [], since, subscribed: true, joined: true, lane });
    this.#pass([...sockets], text);
  }
  /**
   * The server asks something: all tabs, once.
   *
   * @param {WireMessage} request
   * @param {TabLane} lane
   * @param {string} text
   */
  #request({ id }, lane, text) {
    if (lane === this.#main) {
      remember(this.#asking, id, new Set(this.sockets));
      this.#pass([...this.sockets], text);
    } else {
      const error = { code: "no-handler", message: "asked on another socket of this client" };
      lane.send(JSON.stringify({ type: "response", id, error }));
    }
  }
  /**
   * The server takes messages again, after it has dropped some.
   *
   * @param {TabLane} lane
   */
  #resume(lane) {
    for (const channel of this.#channels.values()) {
      const [first] = channel.waiting;
      if (channel.lane === lane && first) lane.subscribe(first.message);
    }
  }
  /**
   * Asks for a channel on another socket, if this one has as many as it may have.
   *
   * @param {WireMessage} answer
   * @returns {boolean} Whether it does.
   */
  #move({ id, code }) {
    const channel = code === "too-many-channels" && this.#channels.get(this.#asked(id)?.message["channel"]);
    if (!channel || !channel.waiting[0]) return false;
    const { lane } = channel;
    const { message } = channel.waiting[0];
    lane.channels.delete(message["channel"]);
    lane.capacity = Math.min(lane.capacity, lane.channels.size);
    if (lane.capacity === 0) return false;
    channel.lane = this.#laneWithRoom();
    channel.lane.subscribe(message);
    return true;
  }
  /**
   * The request that a refusal answers.
   *
   * @param {unknown} id
   */
  #asked(id) {
    for (const { waiting } of this.#channels.values()) {
      if (id !== void 0 && waiting[0]?.message["id"] === id) return waiting[0];
    }
    return void 0;
  }
  /** @param {WireMessage} answer */
  #settle(answer) {
    const name = answer["channel"] ?? this.#asked(answer["id"])?.message["channel"];
    const channel = this.#channels.get(name);
    const [first] = channel?.waiting ?? [];
    if (!channel || !first || (answer["id"] ?? first.message["id"]) !== first.message["id"]) return;
    channel.waiting.shift();
    channel.subscribed = answer.type === "subscribed";
    if (!channel.subscribed) channel.lane.channels.delete(name);
    if (!channel.subscribed && channel.sockets.size > 0) {
      this.#end({ code: 1e3, reason: "" });
      return;
    }
    const { epoch, offset, recovered, data } = answer;
    const { since: before } = channel;
    const others = [...channel.sockets];
    const isSame = before?.epoch === epoch;
    if (others.length > 0 && before && recovered !== true && !(isSame && before.offset === offset)) {
      const message = { type: "subscribe", channel: name, id: (0, import_random_id.randomId)(), since: before };
      if (!first.message["since"]) channel.waiting.unshift({ socket: "", message, cancelled: true });
      else this.#answer(others, { type: "gap", channel: name, from: isSame ? before.offset + 1 : 0, to: offset, epoch });
    }
    channel.initial ||= data !== void 0;
    if (channel.subscribed && !first.cancelled) channel.sockets.add(first.socket);
    if (recovered === true) channel.since = { ...first.message["since"], epoch };
    else channel.since = typeof epoch === "string" ? { epoch, offset } : null;
    this.#answer([first.socket], answer);
    this.#ask(channel);
    if (channel.sockets.size === 0 && channel.waiting.length === 0) {
      this.#channels.delete(name);
      if (channel.subscribed) channel.lane.unsubscribe(name);
    }
  }
  /**
   * @param {string[]} sockets
   * @param {WireMessage} message
   */
  #answer(sockets, message) {
    this.#pass(sockets, JSON.stringify(message));
  }
  /**
   * @param {string[]} to
   * @param {string} data
   */
  #pass(to, data) {
    if (to.length > 0) this.#options.tell({ kind: "message", to, data });
  }
  /** @param {Omit<TabMessage, 'from' | 'to'>} message */
  #broadcast(message) {
    if (this.sockets.size > 0) this.#options.tell({ ...message, to: [...this.sockets] });
  }
}
function remember(entries, id, entry) {
  entries.set(id, entry);
  const [oldest] = entries.keys();
  if (entries.size > REMEMBERED && oldest !== void 0) entries.delete(oldest);
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  TabLine
});
