import { setTimeout as pause } from 'node:timers/promises';
import WebSocket from 'ws';
import { ChatClient, LiveClient } from '../../clients/javascript/src/index.js';
import { SECRET, seconds, sign, user } from '../support/token.js';
import { Follower } from './follower.js';

export const API_KEY = 'a key of tests, thirty-two bytes and more';

/** A line that says nothing for so long is given up, in milliseconds. */
const SILENT_MS = 12_000;

/** Longer than any clock is wrong. @param {string} name */
const token = (name) => sign({ ...user(name), exp: seconds(36_000) });

/**
 * The cluster as clients see it: addresses, of which some answer.
 *
 * @typedef {object} World
 * @property {import('./follower.js').Truth} truth
 * @property {() => number} chance
 * @property {() => { host: string }} anyNode
 * @property {boolean} isOver
 */

/** A client that comes back to any node, whenever its line is lost or silent. */
class Client {
  ready = false;
  /** How often it has come. */
  came = 0;
  #heardAt = 0;
  /** @type {WebSocket | undefined} */
  #ws;

  /** @param {World} world @param {string} name @param {string} topic */
  constructor(world, name, topic) {
    this.world = world;
    this.name = name;
    this.follower = new Follower(name, topic, world.truth);
  }

  /** When it is to come back, as a node said that ends in order. @type {number | undefined} */
  #afterMs;
  /** For how long it was away, each time, in milliseconds. @type {number[]} */
  absences = [];
  #lostAt = 0;

  /** Comes, again and again, until the world is over. */
  async live() {
    while (!this.world.isOver) {
      this.#afterMs = undefined;
      await this.#once();
      if (this.ready) this.#lostAt = performance.now();
      this.ready = false;
      if (!this.world.isOver) await pause(this.#afterMs ?? 100 + this.world.chance() * 500);
    }
  }

  /** It is there, with everything that it was told it would get under way. */
  entered() {
    if (this.#lostAt > 0) this.absences.push(performance.now() - this.#lostAt);
    this.#lostAt = 0;
    this.ready = true;
  }

  async #once() {
    this.node = this.world.anyNode();
    const ws = new WebSocket(`ws://${this.node.host}${this.path}`, { handshakeTimeout: SILENT_MS });
    this.#ws = ws;
    this.#heardAt = performance.now();
    const watch = setInterval(() => {
      if (performance.now() - this.#heardAt > SILENT_MS) ws.terminate();
      else if (ws.readyState === 1) this.send({ type: 'ping', id: 'ping' });
    }, SILENT_MS / 2);
    ws.on('open', () => {
      this.came += 1;
      this.opened();
    });
    ws.on('message', (data) => {
      this.#heardAt = performance.now();
      // Nothing is heard of a line that was given up.
      if (ws.readyState !== 1) return;
      const message = JSON.parse(data.toString());
      if (message.type === 'reconnect') this.#afterMs = message.afterMs;
      this.take(message);
    });
    ws.on('error', () => {});
    await new Promise((resolve) => ws.on('close', resolve));
    clearInterval(watch);
    this.lost();
  }

  /** @param {object} message */
  send(message) {
    if (this.#ws?.readyState === 1) this.#ws.send(JSON.stringify(message));
  }

  cut() {
    this.#ws?.terminate();
  }

  close() {
    this.#ws?.close();
  }

  lost() {}
}

/** A member of a chat room, who may speak. */
export class Member extends Client {
  /** Who was there when it came. @type {{ id: string }[]} */
  users = [];
  /** @type {((answer: any) => void) | undefined} */
  #answered;
  #id = '';

  get path() {
    const { epoch, last, topic } = this.follower;
    const since = epoch ? `&epoch=${epoch}&offset=${last}` : '';
    return `/chat/${topic}?token=${token(this.name)}${since}`;
  }

  opened() {}

  lost() {
    this.#answered?.(null);
  }

  /** @param {any} message */
  take(message) {
    const { follower } = this;
    switch (message.type) {
      case 'room-history': {
        follower.enter(message);
        this.users = message.users ?? this.users;
        const [first] = message.messages;
        if (message.recovered !== true && first) follower.base = follower.last = first.offset - 1;
        for (const { offset, text } of message.messages) follower.hear(offset, text);
        this.entered();
        break;
      }
      case 'chat-message':
        follower.hear(message.offset, message.text);
        break;
      case 'renewed':
        follower.renew(message);
        break;
      case 'gap':
        follower.lose(message);
        break;
    }
    if (message.id === this.#id && (message.type === 'ack' || message.type === 'error')) this.#answered?.(message);
  }

  /** Says something once, until that is sure. @param {string} text */
  async say(text) {
    for (;;) {
      if (this.ready) {
        this.#id = text;
        /** @type {Promise<any>} */
        const answer = new Promise((resolve) => (this.#answered = resolve));
        this.send({ type: 'chat', text, id: text });
        const { type, ...said } = (await answer) ?? {};
        if (type === 'ack') return this.world.truth.acknowledges(this.follower.topic, text, said);
      }
      if (this.world.isOver) return;
      await pause(200 + this.world.chance() * 300);
    }
  }
}

/** A subscriber of a channel. */
export class Subscriber extends Client {
  get path() {
    return `/live?token=${token(this.name)}`;
  }

  opened() {
    this.#subscribe();
  }

  #subscribe() {
    const since = this.follower.position;
    this.send({ type: 'subscribe', channel: this.follower.topic, id: 'subscribe', device: this.name, ...(since && { since }) });
  }

  /** Who was seen to come or go. @type {string[]} */
  seen = [];
  /** The last change of who is there that it was told of. */
  version = 0;

  /** @param {any} message */
  take(message) {
    const { follower } = this;
    switch (message.type) {
      case 'presence':
        this.version = message.version;
        break;
      case 'presence-diff':
        this.version = message.version;
        for (const { user } of message.joined) this.seen.push(`${user.id} came`);
        for (const { user } of message.left) this.seen.push(`${user.id} left`);
        break;
      case 'subscribed':
        follower.enter(message);
        this.entered();
        break;
      case 'update':
        follower.hear(message.offset, message.data);
        break;
      case 'gap':
        follower.lose(message);
        break;
      case 'renewed':
        follower.renew(message);
        break;
      case 'error':
        if (message.id === 'subscribe') setTimeout(() => this.#subscribe(), 500);
        break;
    }
  }
}

/**
 * The options of the project's own clients, whose sockets lead to any node, in place of a balancer.
 *
 * @param {World} world
 * @param {{ node: { host: string }, came: number }} client
 */
function libraryOptions(world, client) {
  class Spread extends WebSocket {
    /** @param {string} url @param {string[]} [protocols] */
    constructor(url, protocols) {
      const node = world.anyNode();
      const address = new URL(url);
      address.host = node.host;
      super(address, protocols);
      client.node = node;
      client.came += 1;
    }
  }
  return {
    server: 'ws://localhost:1',
    WebSocket: /** @type {any} */ (Spread),
    fetch: null,
    maxReconnectAttempts: Infinity,
    answerTimeoutMs: SILENT_MS,
    requestTimeoutMs: Infinity,
  };
}

/** A member of a chat room, and a speaker, by the project's own client. */
export class LibraryMember {
  /** The last node that it came to. */
  node = { host: '' };
  /** How often it has come. */
  came = 0;
  #chat;

  /** @param {World} world @param {string} name @param {string} topic */
  constructor(world, name, topic) {
    this.name = name;
    this.world = world;
    const follower = (this.follower = new Follower(name, topic, world.truth));
    // What the client knows of epochs it keeps for itself.
    follower.tellsEpoch = false;
    const chat = (this.#chat = new ChatClient(topic, () => token(name), libraryOptions(world, this)));
    chat.handleMessage = () => {};
    chat.on('room-history', ({ epoch, offset, messages }) => {
      follower.restart(epoch, messages[0] ? messages[0].offset - 1 : offset, 'the library: a history');
      for (const message of messages) follower.hear(message.offset, message.text);
    });
    chat.on('chat-message', ({ offset, text }) => follower.hear(offset, text));
    chat.on('renewed', ({ epoch }) => (follower.epoch = epoch));
  }

  get ready() {
    return this.#chat.state === 'connected' && this.follower.epoch !== '';
  }

  /** Says something once; if it is refused, or nobody knows, not again. @param {string} text */
  async say(text) {
    const said = await this.#chat.say(text).catch(() => null);
    if (said) this.world.truth.acknowledges(this.follower.topic, text, /** @type {any} */ (said));
  }

  live() {
    this.#chat.connect();
  }

  cut() {
    this.#chat.close();
  }
}

/** A subscriber of a channel by the project's own client. */
export class LibrarySubscriber {
  /** The last node that it came to. */
  node = { host: '' };
  /** How often it has come. */
  came = 0;
  #live;
  #subscription;

  /** @param {World} world @param {string} name @param {string} topic */
  constructor(world, name, topic) {
    this.name = name;
    const follower = (this.follower = new Follower(name, topic, world.truth));
    this.#live = new LiveClient(() => token(name), libraryOptions(world, this));
    this.#subscription = this.#live.subscribe(topic);
    const subscription = this.#subscription;
    subscription.on('state', () => {
      const { position } = subscription;
      if (position && follower.epoch === '') follower.restart(position.epoch, position.offset, '');
    });
    subscription.on('update', ({ offset, data }) => {
      follower.epoch = subscription.position?.epoch ?? '';
      follower.hear(offset, data);
    });
    subscription.on('gap', (gap) => {
      const { epoch, offset } = /** @type {import('../../clients/javascript/src/position.js').Since} */ (subscription.position);
      if (gap.from === undefined) follower.restart(epoch, offset, `the library: ${gap.reason}`);
      else follower.lose({ from: gap.from, to: gap.to, epoch });
    });
  }

  get ready() {
    const { epoch } = this.#subscription.position ?? {};
    if (epoch !== undefined) this.follower.epoch = epoch;
    return this.#subscription.state === 'subscribed';
  }

  live() {
    this.#live.connect();
  }

  cut() {
    this.#live.close();
  }
}

/** Publishes to a channel over HTTP. */
export class Publisher {
  /** @param {World} world @param {string} topic */
  constructor(world, topic) {
    this.world = world;
    this.topic = topic;
  }

  /** Publishes something once, until that is sure. @param {string} text */
  async say(text) {
    while (!this.world.isOver) {
      const node = this.world.anyNode();
      const answer = await fetch(`http://${node.host}/api/v1/publish`, {
        method: 'POST',
        headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', 'idempotency-key': text },
        body: JSON.stringify({ channel: this.topic, data: text }),
        signal: AbortSignal.timeout(SILENT_MS),
      })
        .then((response) => response.ok && response.json())
        .catch(() => null);
      if (answer) return this.world.truth.acknowledges(this.topic, text, answer);
      await pause(200 + this.world.chance() * 300);
    }
  }
}
