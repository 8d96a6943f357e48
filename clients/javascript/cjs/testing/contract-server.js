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
var contract_server_exports = {};
__export(contract_server_exports, {
  ContractServer: () => ContractServer,
  tokenBucket: () => tokenBucket
});
module.exports = __toCommonJS(contract_server_exports);
class ContractServer {
  #epoch;
  #history;
  #recoveryLimit;
  /** @type {Map<string, { epoch: string, offset: number, messages: any[] }>} */
  #streams = /* @__PURE__ */ new Map();
  /** @type {Set<Session>} */
  #sessions = /* @__PURE__ */ new Set();
  /** Answers by user and id. */
  #answers = /* @__PURE__ */ new Map();
  #versions = /* @__PURE__ */ new Map();
  #devices = 0;
  /** How often each text was said: what the application on the server executed. */
  executed = /* @__PURE__ */ new Map();
  /** What was said, with by whom and where. */
  said = [];
  /** How many connections were ended for a message that was too long. */
  tooBig = 0;
  /** True for a server that knows neither `hello` nor `ping`. */
  #old;
  /** The longest message that it takes, in bytes. */
  #limit;
  #userOfToken;
  #now;
  /** False for a server whose errors have no codes. */
  #codes;
  /** How many channels a connection may have. */
  #channelLimit;
  /** Tells of each message how long its sender is to wait before it is taken, in milliseconds. */
  #busy;
  /** How many devices a page of presence has; `Infinity` for a server that knows no pages. */
  #pageSize;
  /** What it tells about itself. */
  #told;
  /** The state of a channel, for those who begin there; `undefined`: none. */
  #initial;
  /** The channels of their own that users are subscribed to. */
  #own;
  /** What it does for commands of the application, by their types. */
  #commands;
  /** Those that it executed, without their ids. */
  commands = [];
  /** What clients answered to requests of this server. */
  responses = [];
  #asked = 0;
  constructor({ epoch = "e1", history = 100, recoveryLimit = 300, old = false, limit = 65536, told = {}, userOfToken = idOf, channelLimit = 100, busy = null, codes = true, pageSize = Infinity, now = () => 0, initial = () => void 0, own = () => [], commands = {} } = {}) {
    this.#commands = commands;
    this.#initial = initial;
    this.#own = own;
    this.#pageSize = pageSize;
    this.#now = now;
    this.#codes = codes;
    this.#channelLimit = channelLimit;
    this.#busy = busy;
    this.#userOfToken = userOfToken;
    this.#limit = limit;
    this.#old = old;
    this.#told = { maxMessageBytes: limit, pingIntervalMs: 25e3, windowMs: 12e4, ...told };
    this.#epoch = epoch;
    this.#history = history;
    this.#recoveryLimit = recoveryLimit;
  }
  /** Somebody connects to an address; returns who is to be told what comes, and that it ended. */
  connect(url, connection, bearer) {
    const { pathname, searchParams } = new URL(url, "ws://server");
    if (searchParams.get("auth") !== "message") {
      return this.#admit(pathname, searchParams, connection, searchParams.get("token") ?? bearer);
    }
    let admitted;
    return {
      receive: (message) => {
        if (admitted) admitted.receive(message);
        else admitted = this.#admit(pathname, searchParams, connection, message?.type === "auth" && message.token);
      },
      ended: () => admitted?.ended()
    };
  }
  #admit(pathname, searchParams, connection, token) {
    if (!token || token === "bad" || expiryOf(token) <= this.#now()) {
      connection.send(this.#coded({ type: "error", code: "invalid-token", message: "Invalid token" }));
      connection.close(1008, "Invalid token");
      return { receive() {
      }, ended() {
      } };
    }
    const session = new Session(connection, token, this.#userOfToken(token), `d${this.#devices += 1}`);
    this.#sessions.add(session);
    const room = /^\/chat\/(.+)$/.exec(pathname)?.[1];
    if (room) this.#enter(session, room, searchParams);
    else for (const channel of this.#own(session.user.id)) this.join(session, channel);
    return {
      receive: (message) => this.#receive(session, message),
      ended: () => this.#leave(session)
    };
  }
  /** Subscribes a connection to a channel, unasked. */
  join(session, channel) {
    const { epoch, offset } = this.#stream(channel);
    session.channels.add(channel);
    session.joined.add(channel);
    const data = this.#initial(channel);
    session.send({ type: "subscribed", channel, epoch, offset, joined: true, ...data !== void 0 && { data } });
  }
  /** Takes a channel away from a user. */
  kick(id, channel, why = { code: "kicked", message: "Kicked" }) {
    for (const session of this.#sessions) {
      if (session.user.id === id && session.channels.delete(channel)) {
        session.send({ type: "unsubscribed", channel, ...why });
      }
    }
  }
  /** Asks the clients of a user. */
  ask(id, name, data) {
    for (const session of this.#sessions) {
      if (session.user.id === id) session.send({ type: "request", id: `${this.#asked += 1}`, name, data });
    }
  }
  get connections() {
    return this.#sessions.size;
  }
  /** How many of them listen to a channel. */
  subscribers(channel) {
    return [...this.#sessions].filter(({ channels }) => channels.has(channel)).length;
  }
  /** The channels that a connection has, of which there is only one. */
  get channels() {
    const [session] = this.#sessions;
    return [...session?.channels ?? []];
  }
  /** The channels that the connections of a user have which are in no room, or in that one. */
  channelsOf(id, room) {
    const theirs = [...this.#sessions].filter(({ user, room: other }) => user.id === id && other === room);
    return theirs.flatMap(({ channels }) => [...channels]);
  }
  publish(channel, data, encoding) {
    const message = this.#append(channel, { type: "update", channel, data, ...encoding && { encoding }, timestamp: NOW });
    for (const session of this.#sessions) {
      if (session.channels.has(channel)) session.send(message);
    }
    return message.offset;
  }
  /** Sends the newest publication once more, as a server does that merges badly. */
  repeat(channel) {
    const newest = this.#stream(channel).messages.at(-1);
    if (!newest) return;
    for (const session of this.#sessions) if (session.channels.has(channel)) session.send(newest);
  }
  /** Tells subscribers that what they were to get now is lost. */
  lose(channel, data) {
    const { offset } = this.#append(channel, { type: "update", channel, data, timestamp: NOW });
    const { epoch } = this.#stream(channel);
    for (const session of this.#sessions) {
      if (session.channels.has(channel)) {
        session.send({ type: "gap", channel, from: offset, to: offset, epoch });
      }
    }
    return offset;
  }
  /** Forgets all but the newest `kept` publications. */
  trim(channel, kept) {
    const stream = this.#stream(channel);
    stream.messages = stream.messages.slice(stream.messages.length - kept);
  }
  /** The streams are lost, and begin anew under another epoch. Answers are remembered. */
  forget(epoch) {
    this.#epoch = epoch;
    this.#streams.clear();
  }
  /** All connections end, as at a restart. */
  cut(code = 1012, reason = "") {
    for (const session of [...this.#sessions]) {
      this.#leave(session);
      session.close(code, reason);
    }
  }
  /** Ends the connections whose tokens have expired. */
  expire() {
    for (const session of [...this.#sessions]) if (expiryOf(session.token) <= this.#now()) this.#refuse(session, "token-expired", "Token expired");
  }
  /** An operator ends all connections of somebody. */
  disconnect(id) {
    for (const session of [...this.#sessions]) if (session.user.id === id) this.#refuse(session, "disconnected", "Disconnected");
  }
  #refuse(session, code, message) {
    session.send(this.#coded({ type: "error", code, message }));
    this.#leave(session);
    session.close(1008, message);
  }
  /** Each client is told its own time to come back. */
  drain(delayOf) {
    [...this.#sessions].forEach((session, index) => {
      const afterMs = delayOf(index);
      session.send({ type: "reconnect", afterMs });
      this.#leave(session);
      session.close(1012, `reconnect after ${afterMs} ms`);
    });
  }
  #enter(session, room, query) {
    session.room = `room:${room}`;
    this.#toRoom(session, "user-joined");
    const stream = this.#stream(session.room);
    const position = { epoch: stream.epoch, offset: stream.offset };
    const users = [...this.#sessions].filter(({ room: room2 }) => room2 === session.room).map(({ user }) => user);
    const history = { type: "room-history", users, ...position };
    if (query.has("epoch")) {
      const since = { epoch: query.get("epoch"), offset: Number(query.get("offset")) };
      const { missed, reason } = this.#since(stream, since);
      session.send({
        ...history,
        messages: missed ?? stream.messages.slice(-50),
        recovered: missed !== null,
        ...reason && { reason }
      });
    } else {
      session.send({ ...history, messages: stream.messages.slice(-50) });
    }
  }
  #toRoom({ room, user, ...me }, type) {
    const others = [...this.#sessions].filter((other) => other.room === room && other.device !== me.device);
    const userCount = others.length + (type === "user-joined" ? 1 : 0);
    for (const other of others) other.send({ type, user, userCount });
  }
  #leave(session) {
    if (!this.#sessions.delete(session)) return;
    if (session.room) this.#toRoom(session, "user-left");
    for (const channel of session.channels) {
      this.#changed(channel, { left: [{ user: session.user, device: session.device }] });
    }
  }
  #receive(session, message) {
    if (!this.#sessions.has(session)) return;
    const wait = this.#busy?.(session) ?? 0;
    if (wait > 0) {
      session.send(this.#coded({ type: "error", code: "rate-limited", message: "Rate limit exceeded", retryAfterMs: wait }));
      return;
    }
    if (bytesOf(JSON.stringify(message)) > this.#limit) {
      this.tooBig += 1;
      this.#leave(session);
      session.close(1009, "");
      return;
    }
    if (message.type === "response") {
      this.responses.push(message);
      return;
    }
    const { id } = message;
    const key = `${JSON.stringify(session.user.id)} ${id}`;
    const known = id === void 0 ? void 0 : this.#answers.get(key);
    if (known && this.#now() - known.at <= REMEMBERED_MS) {
      session.send(known.reply);
      return;
    }
    const answer = this.#execute(session, message);
    if (id === void 0) {
      if (answer?.natural) session.send(answer.natural);
    } else {
      const reply = { ...this.#coded(answer?.natural) ?? answer?.reply ?? { type: "ack", ...answer?.ack }, id };
      if (!answer?.natural) this.#answers.set(key, { reply, at: this.#now() });
      session.send(reply);
    }
    for (const later of answer?.after ?? []) session.send(later);
  }
  #coded(message) {
    if (this.#codes || !message) return message;
    const { code, ...rest } = message;
    return rest;
  }
  #execute(session, message) {
    const { type, channel } = message;
    switch (type) {
      case "subscribe":
        return this.#subscribe(session, channel, message.since);
      case "unsubscribe":
        session.channels.delete(channel);
        return { natural: { type: "unsubscribed", channel } };
      case "chat": {
        this.executed.set(message.text, (this.executed.get(message.text) ?? 0) + 1);
        const { room, user } = session;
        this.said.push({ text: message.text, by: user.id, room });
        const said = this.#append(room, { type: "chat-message", text: message.text, user, timestamp: NOW });
        said.id = said.offset;
        for (const other of this.#sessions) if (other.room === room) other.send(said);
        const { epoch } = this.#stream(room);
        return { ack: { epoch, offset: said.offset, messageId: said.id } };
      }
      case "history": {
        const { epoch, messages } = this.#stream(session.room);
        const older = messages.filter(({ offset }) => offset < message.before).slice(-(message.limit ?? 50));
        return { natural: { type: "history", messages: older, epoch, more: false } };
      }
      case "channel-history": {
        if (this.#old) return UNKNOWN;
        const { epoch, messages } = this.#stream(channel);
        const kept = messages.filter(({ offset }) => offset < (message.before ?? Infinity));
        const publications = kept.slice(-Math.min(message.limit ?? 50, 300));
        const rest = kept.slice(0, kept.length - publications.length);
        const told = publications.map(({ data, encoding, timestamp, offset }) => ({ data, encoding, timestamp, offset }));
        const next = rest.length > 0 && { next: rest.at(-1).offset + 1 };
        return { natural: { type: "channel-history", channel, publications: told, epoch, more: rest.length > 0, ...next } };
      }
      case "publish":
        this.executed.set(message.data, (this.executed.get(message.data) ?? 0) + 1);
        return { ack: { offset: this.publish(channel, message.data, message.encoding) } };
      case "presence":
        return { natural: this.#presence(channel, message.after) };
      case "presence-update":
        if (JSON.stringify(message.data).length > 4096) {
          return { natural: { type: "error", code: "too-large", message: "Presence data too large" } };
        }
        session.data = message.data;
        this.#changed(channel, { updated: [session.member] });
        return {};
      case "hello":
        return this.#old ? UNKNOWN : { natural: { type: "hello", user: session.user, version: "1", time: new Date(this.#now()).toISOString(), ...this.#told } };
      case "ping":
        return this.#old ? UNKNOWN : { natural: { type: "pong" } };
      case "refresh":
        if (message.token === "bad") return { natural: { type: "error", code: "invalid-token", message: "Invalid token" } };
        if (expiryOf(message.token) <= this.#now()) {
          return { natural: { type: "error", code: "invalid-token", message: "Invalid token" } };
        }
        session.token = message.token;
        return { natural: { type: "refreshed", expiresAt: new Date(Math.min(LATE, expiryOf(message.token))).toISOString() } };
      default:
        return this.#command(session, message);
    }
  }
  /** An application's own command. */
  #command({ user }, { id, ...message }) {
    const run = Object.hasOwn(this.#commands, message.type) && this.#commands[message.type];
    if (!run) return UNKNOWN;
    this.commands.push(message);
    try {
      return { reply: { type: "reply", data: run(message, user) ?? null } };
    } catch (error) {
      return { reply: { type: "error", code: error.code ?? "internal", message: error.message } };
    }
  }
  #subscribe(session, channel, since) {
    if (channel === "secret") {
      return { natural: { type: "error", code: "subscribe-refused", message: "Forbidden channel" } };
    }
    const stream = this.#stream(channel);
    const isJoined = session.joined.delete(channel) && since;
    if (session.channels.has(channel) && !isJoined) {
      return { natural: { type: "subscribed", channel, epoch: stream.epoch, offset: stream.offset } };
    }
    if (session.channels.size >= this.#channelLimit) {
      return { natural: { type: "error", code: "too-many-channels", message: "Too many channels" } };
    }
    session.channels.add(channel);
    const natural = { type: "subscribed", channel, epoch: stream.epoch, offset: stream.offset };
    this.#changed(channel, { joined: [session.member] }, session);
    const data = this.#initial(channel);
    const begun = data !== void 0 && { data };
    if (!since) return { natural: { ...natural, ...begun } };
    const { missed, reason } = this.#since(stream, since);
    Object.assign(natural, { recovered: missed !== null }, reason && { reason }, missed === null && begun);
    return { natural, after: missed ?? [] };
  }
  #since({ epoch, offset, messages }, since) {
    if (since.epoch !== epoch) return { missed: null, reason: "epoch" };
    if (since.offset > offset) return { missed: null, reason: "ahead" };
    const missed = messages.filter((message) => message.offset > since.offset);
    return missed.length === offset - since.offset && missed.length <= this.#recoveryLimit ? { missed, reason: null } : { missed: null, reason: "history" };
  }
  #presence(channel, after) {
    const version = this.#versions.get(channel) ?? 0;
    const there = [...this.#sessions].filter(({ channels }) => channels.has(channel));
    if (after === void 0 || this.#pageSize === Infinity) return { type: "presence", channel, members: this.#members(there), version };
    const place = ({ device }) => Number(device.slice(1));
    const rest = there.filter((session) => place(session) > after);
    const page = rest.slice(0, this.#pageSize);
    const next = rest.length > page.length && { next: place(page.at(-1)) };
    return { type: "presence", channel, members: this.#members(page), version, after, ...next };
  }
  #members(sessions) {
    const members = /* @__PURE__ */ new Map();
    for (const session of sessions) {
      const { user, devices } = session.member;
      members.set(user.id, { user, devices: [...members.get(user.id)?.devices ?? [], ...devices] });
    }
    return [...members.values()];
  }
  #changed(channel, change, except) {
    const version = (this.#versions.get(channel) ?? 0) + 1;
    this.#versions.set(channel, version);
    const diff = { type: "presence-diff", channel, version, joined: [], left: [], updated: [], ...change };
    for (const session of this.#sessions) {
      if (session !== except && session.channels.has(channel)) session.send(diff);
    }
  }
  #append(name, message) {
    const stream = this.#stream(name);
    stream.offset += 1;
    const stored = { ...message, offset: stream.offset };
    stream.messages.push(stored);
    if (stream.messages.length > this.#history) stream.messages.shift();
    return stored;
  }
  #stream(name) {
    let stream = this.#streams.get(name);
    if (!stream) this.#streams.set(name, stream = { epoch: this.#epoch, offset: 0, messages: [] });
    return stream;
  }
}
const REMEMBERED_MS = 12e4;
function bytesOf(text) {
  return encodeURIComponent(text).replace(/%../g, "x").length;
}
function claimsOf(token) {
  const bytes = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(decodeURIComponent(Array.from(bytes, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0")}`).join("")));
}
function expiryOf(token) {
  try {
    return claimsOf(token).exp * 1e3 || Infinity;
  } catch {
    return Infinity;
  }
}
const NOW = "2026-01-31T09:05:07.123Z";
const UNKNOWN = { natural: { type: "error", code: "unknown-type", message: "Unknown message type" } };
const LATE = Date.parse("2100-01-01");
function idOf(token) {
  try {
    return claimsOf(token).id ?? token;
  } catch {
    return token.split(".")[0];
  }
}
function tokenBucket(clock, burst, perSecond) {
  const buckets = /* @__PURE__ */ new WeakMap();
  return (session) => {
    const bucket = buckets.get(session) ?? { tokens: burst, at: clock.now() };
    buckets.set(session, bucket);
    const now = clock.now();
    bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.at) * perSecond / 1e3);
    bucket.at = now;
    if (bucket.tokens < 1) return Math.ceil((1 - bucket.tokens) * 1e3 / perSecond);
    bucket.tokens -= 1;
    return 0;
  };
}
class Session {
  channels = /* @__PURE__ */ new Set();
  /** Those of them that the server has chosen, and the client has not asked for. */
  joined = /* @__PURE__ */ new Set();
  room = null;
  data = void 0;
  constructor(connection, token, id, device) {
    this.connection = connection;
    this.token = token;
    this.device = device;
    this.user = typeof id === "object" ? id : { id, email: `${id}@example.org` };
  }
  get member() {
    const { device: id, data } = this;
    const device = { id, since: NOW, ...data !== void 0 && { data } };
    return { user: this.user, devices: [device] };
  }
  send(message) {
    this.connection.send(message);
  }
  close(code, reason) {
    this.connection.close(code, reason);
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  ContractServer,
  tokenBucket
});
