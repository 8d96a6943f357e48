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
var chat_client_exports = {};
__export(chat_client_exports, {
  ChatClient: () => ChatClient
});
module.exports = __toCommonJS(chat_client_exports);
var import_address = require("./address.js");
var import_client = require("./client.js");
var import_errors = require("./errors.js");
var import_members = require("./members.js");
var import_position = require("./position.js");
var import_typing = require("./typing.js");
class ChatClient extends import_client.Client {
  /**
   * @override
   * @protected
   * @type {ReadonlySet<unknown>}
   */
  static localEvents = /* @__PURE__ */ new Set([
    ...import_client.Client.localEvents,
    "users",
    "typing-users",
    "recovered",
    "gap"
  ]);
  /** @type {string} */
  roomId;
  #members = new import_members.Members();
  /** The joins and leaves in the room so far, as far as they came. */
  #usersVersion = NaN;
  /** True while the list of members is read page by page. */
  #listing = false;
  /** True when it has to be read again after that. */
  #relist = false;
  /** @type {ChatMessage[]} */
  #messages = [];
  /** The position in the room that was entered last. */
  #position = new import_position.Position();
  #positionRoom = "";
  #server;
  #typing;
  #typingRepeatMs;
  /** The time at which the room was last told that this user types. @type {number | null} */
  #typingSentAt = null;
  /**
   * @param {string | number} roomId
   * @param {TokenSource} [token] A JWT, or a function that gets one before each attempt.
   * @param {ChatClientOptions} [options]
   * @throws {ClientError} `invalid-address`, `invalid-option`
   */
  constructor(roomId, token, options = {}) {
    const {
      server = (0, import_address.defaultServer)(),
      typingExpiryMs = 6e3,
      typingRepeatMs = 3e3,
      maxReconnectAttempts = 5,
      // The guide's own class tries for 15 seconds, and a deploy may take 20.
      patienceMs = 22e3
    } = options;
    super(
      (present) => this.#since((0, import_address.endpointAddress)(server, ["chat", this.roomId], present)),
      { greet: true, ...options, maxReconnectAttempts, patienceMs, token }
    );
    (0, import_errors.checkOptions)(typingExpiryMs > 0 && typingRepeatMs >= 0);
    this.introduction = { keepsUsers: true };
    this.roomId = String(roomId);
    this.#server = server;
    this.place();
    this.#typing = new import_typing.TypingUsers({
      timers: this.environment.timers,
      expiryMs: typingExpiryMs,
      changed: () => this.emit("typing-users", this.typingUsers)
    });
    this.#typingRepeatMs = typingRepeatMs;
    this.on("state", () => this.#forgetTyping());
    this.on("message", (message) => this.handleMessage(message));
  }
  /**
   * The members of the room, this user included, each once. While disconnected: those of the
   * lost connection. In a room of more than 1,000 they come page by page, with an event `users` for each.
   *
   * @returns {User[]}
   */
  get users() {
    return this.#members.list();
  }
  /**
   * The newest messages that came, oldest first: those of the last `room-history` and what was said
   * since, 500 at most.
   *
   * @returns {ChatMessage[]}
   */
  get recentMessages() {
    return [...this.#messages];
  }
  /**
   * The others who are typing.
   *
   * @returns {User[]}
   */
  get typingUsers() {
    return this.#typing.list();
  }
  /**
   * Says something to the room. The room's answer to everybody, this client included, is the
   * message itself.
   *
   * @param {string} text
   * @returns {boolean} Whether it went out; see `send`.
   */
  sendMessage(text) {
    const sent = this.send({ type: "chat", text });
    if (sent) this.#typingSentAt = null;
    return sent;
  }
  /**
   * Says something to the room that the server confirms and takes once, however often the
   * connection is lost: now or as soon as there is a connection.
   *
   * @param {string} text
   * @param {RequestOptions} [options]
   * @returns {Promise<WireMessage>} The confirmation, with the `messageId`; see `request`.
   */
  say(text, options) {
    this.#typingSentAt = null;
    return this.request({ type: "chat", text }, options);
  }
  /**
   * Tells the others that this user types, or has stopped. May be called at each key press:
   * the room hears of it every three seconds at most.
   *
   * @param {boolean} isTyping
   * @returns {boolean} Whether the others know: false when not connected.
   */
  sendTyping(isTyping) {
    const now = this.environment.now();
    const age = this.#typingSentAt === null ? Infinity : now - this.#typingSentAt;
    const known = isTyping ? age < this.#typingRepeatMs : age === Infinity;
    if (known) return this.state === "connected";
    const sent = this.send({ type: "typing", isTyping });
    if (sent) this.#typingSentAt = isTyping ? now : null;
    return sent;
  }
  /**
   * Sends a message to one user, on all their connections. The server answers with
   * `private-message-sent`, or with `error` if the user is not connected.
   *
   * @param {UserId} userId
   * @param {string} text
   * @returns {boolean} Whether it went out; see `send`.
   */
  sendPrivate(userId, text) {
    return this.send({ type: "private", targetUserId: userId, text });
  }
  /**
   * Asks for messages of the room that are older than one that is here.
   *
   * @param {number} before The `offset` of that one.
   * @param {number} [limit] How many, at most. Default 50.
   * @returns {Promise<OlderMessages>} The newest of those before it, oldest first; rejects as
   *   `request` does, with the connection if that is lost, and after 15 seconds.
   */
  history(before, limit) {
    const question = { type: "history", before, limit };
    const options = { repeat: false, timeoutMs: 15e3 };
    return (
      /** @type {Promise<OlderMessages>} */
      this.request(question, options)
    );
  }
  /**
   * Leaves the room.
   */
  disconnect() {
    this.close();
  }
  /**
   * Shows a message of the server. Called for each one, before the listeners of its type.
   *
   * @param {WireMessage} message
   */
  handleMessage(message) {
    switch (message.type) {
      case "chat-message":
        this.displayMessage(
          /** @type {ChatMessage} */
          message
        );
        break;
      case "user-joined":
        this.displayNotification(`${message["user"]?.email} joined`);
        break;
      case "user-left":
        this.displayNotification("User left");
        break;
      case "error":
        this.displayError(message["message"]);
        break;
    }
  }
  /**
   * @param {ChatMessage} message
   */
  displayMessage(message) {
    console.log(`${message.user?.email}: ${message.text}`);
  }
  /**
   * @param {string} text
   */
  displayNotification(text) {
    console.log(`Notification: ${text}`);
  }
  /**
   * @param {string} error
   */
  displayError(error) {
    console.error(`Error: ${error}`);
  }
  /**
   * @override
   * @protected
   */
  place() {
    return (0, import_address.endpointAddress)(this.#server, ["chat", String(this.roomId)], null);
  }
  /**
   * @override
   * @protected
   * @param {WireMessage} message
   */
  accept(message) {
    switch (message.type) {
      case "room-history":
        return this.#enter(message);
      case "renewed":
        this.#tell(this.#position.renew(
          /** @type {any} */
          message
        ));
        break;
      case "gap":
        this.#tell(this.#position.skip(
          /** @type {any} */
          message
        ));
        break;
      case "deleted": {
        const { offset } = message;
        this.#position.pass(offset);
        this.#messages = this.#messages.filter((said) => said.offset === void 0 || said.offset !== offset);
        break;
      }
      case "chat-message": {
        const news = this.#position.take(message["offset"]);
        if (!news) return false;
        if (news !== true) this.#tell(news);
      }
    }
    this.#track(message);
    return true;
  }
  /**
   * @param {WireMessage} history
   * @returns {boolean} Whether it is to replace what is shown.
   */
  #enter(history) {
    const missed = this.#position.resume(
      /** @type {any} */
      history
    );
    this.requests.support(this.#position.since !== null);
    this.#track(history);
    const messages = Array.isArray(history["messages"]) ? history["messages"] : [];
    if (typeof missed !== "number") {
      this.#messages = messages.slice(-KEPT);
      this.#tell(missed);
      return true;
    }
    this.emit("recovered", { missed, users: this.#members.all() });
    for (const message of messages) {
      const isKnown = message?.type === "chat-message" || message?.type === "deleted";
      if (isKnown && this.accept(message)) this.deliver(message);
    }
    return false;
  }
  /** @param {Gap | null} gap */
  #tell(gap) {
    if (gap) this.emit("gap", gap);
  }
  /**
   * Adds the place where this client left the room.
   *
   * @param {string} address
   */
  #since(address) {
    if (this.#positionRoom !== this.roomId) {
      this.#position = new import_position.Position();
      this.#messages = [];
    }
    this.#positionRoom = this.roomId;
    const { since } = this.#position;
    if (!since) return address;
    return (0, import_address.withFields)(address, { ...since });
  }
  /** Forgets who types: what was told, either way, ended with the connection. */
  #forgetTyping() {
    this.#typingSentAt = null;
    this.#typing.clear();
  }
  /** @param {WireMessage} history */
  #trackHistory(history) {
    const { users, userCount, usersVersion } = history;
    if (Array.isArray(users)) {
      this.#members.replace(usersIn(users));
      this.#usersVersion = Number(usersVersion);
      this.emit("users", this.users);
      if (userCount > users.length) void this.#list();
      return;
    }
    if (usersVersion !== void 0 && usersVersion !== this.#usersVersion) {
      this.#usersVersion = usersVersion;
      void this.#list();
    }
    history["users"] = this.#members.all();
  }
  /** @param {WireMessage} page */
  #trackPage({ members, next }) {
    for (const { user, sockets } of Array.isArray(members) ? members : []) {
      if (isUser(user) && sockets > 0) this.#members.set(user, sockets);
    }
    if (next === void 0) this.#members.settle();
    this.emit("users", this.users);
  }
  /** Reads the list of members, page by page. Each is taken as it comes, between joins and leaves. */
  async #list() {
    this.#relist = this.#listing;
    if (this.#listing) return;
    this.#listing = true;
    this.#members.doubt();
    const { socket } = this;
    try {
      let after = 0;
      while (after !== void 0 && socket === this.socket) {
        const options = { repeat: false, timeoutMs: 15e3 };
        after = (await this.request({ type: "members", after }, options))["next"];
      }
    } catch {
    }
    this.#listing = false;
    if (this.#relist) void this.#list();
  }
  /**
   * @param {WireMessage} message
   */
  #track(message) {
    const user = isUser(message["user"]) ? message["user"] : null;
    switch (message.type) {
      case "room-history":
        this.#trackHistory(message);
        break;
      case "members":
        if (this.#listing) this.#trackPage(message);
        break;
      case "user-joined":
        this.#usersVersion += 1;
        if (user && this.#members.add(user)) this.emit("users", this.users);
        break;
      case "user-left":
        this.#usersVersion += 1;
        if (user && this.#members.remove(user)) {
          this.#typing.stop(user);
          this.emit("users", this.users);
        }
        break;
      case "typing":
        if (user && message["isTyping"]) this.#typing.start(user);
        else if (user) this.#typing.stop(user);
        break;
      case "chat-message":
        this.#messages.push(
          /** @type {ChatMessage} */
          message
        );
        if (this.#messages.length > KEPT) this.#messages.shift();
        if (user) this.#typing.stop(user);
        break;
    }
  }
}
const KEPT = 500;
function usersIn(users) {
  return Array.isArray(users) ? users.filter(isUser) : [];
}
function isUser(value) {
  if (typeof value !== "object" || value === null || !("id" in value)) return false;
  return typeof value.id === "string" || typeof value.id === "number";
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  ChatClient
});
