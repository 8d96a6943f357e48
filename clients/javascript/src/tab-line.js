/**
 * A connection that tabs share.
 *
 * @module
 */

import { parseMessage } from './message.js';
import { randomId } from './random-id.js';
import { TabLane } from './tab-lane.js';

/** @import { Timers, WebSocketLike } from './environment.js' */
/** @import { WireMessage } from './message.js' */
/** @import { Since } from './position.js' */
/** @import { TabMessage } from './tab.js' */

/**
 * The listeners of a channel, and its position on the shared connection.
 *
 * @typedef {object} Channel
 * @property {Set<string>} sockets Those that are subscribed.
 * @property {Request[]} waiting Those that asked, in order; the first was passed on.
 * @property {Since | null} since Where the shared connection stands; `null`: not subscribed, or
 *   no positions.
 * @property {boolean} subscribed
 * @property {boolean} [initial] Whether the server tells its state to those who begin there.
 * @property {boolean} [joined] Whether the server has subscribed the line of its own accord.
 * @property {TabLane} lane The socket that has it.
 */

/**
 * @typedef {{ socket: string, message: WireMessage, cancelled?: boolean }} Request
 */

/** A tab that gives up after this time, in milliseconds, does so because it was not answered. */
const IMPATIENCE_MS = 4_000;

/** Messages whose answers find their way back, at most. */
const REMEMBERED = 10_000;

/**
 * A connection to the server, and the sockets of tabs that it stands for.
 *
 * To the server it looks like one client: channels are subscribed once, and left with the last
 * tab that listens. When one socket has as many channels as it may have, another one is opened for
 * more. A tab that comes with a position of its own makes the hub subscribe anew from
 * there; the others drop by offset what they have already.
 */
export class TabLine {
  /** @type {Set<string>} */
  sockets = new Set();
  #options;
  /** The first one is for everything that belongs to no channel. @type {TabLane[]} */
  #lanes = [];
  #ended = false;
  /** The message that each socket begins with, where the token comes in one. @type {string | undefined} */
  #auth;
  /** @type {Map<string, Channel>} */
  #channels = new Map();
  /** The senders of the messages that are to be answered, by the ids of these. @type {Map<string, { socket: string, lane: TabLane }>} */
  #senders = new Map();
  /** The sockets that have not answered a request of the server yet. @type {Map<string, Set<string>>} */
  #asking = new Map();

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
    this.#options.tell({ kind: 'opened', to: [socket] });
    for (const [name, { joined, sockets, since }] of this.#channels) {
      if (!joined) continue;
      sockets.add(socket);
      this.#answer([socket], { type: 'subscribed', channel: name, joined, ...since });
    }
  }

  /** @param {string} socket */
  leave(socket) {
    this.sockets.delete(socket);
    for (const channel of [...this.#channels.keys()]) this.#unsubscribe(socket, channel);
    // A tab that was not answered gives up. The others are not to find out one after the other, while
    // those that come back are given the dead line again.
    const isDead = this.#lanes.some((lane) => lane.isSilentFor(IMPATIENCE_MS));
    if (this.sockets.size === 0 || isDead) this.#end({ code: 1006, reason: '' });
  }

  get #main() {
    return /** @type {TabLane} */ (this.#lanes[0]);
  }

  /** @returns {TabLane} */
  #open() {
    const socket = this.#options.open();
    const lane = new TabLane(socket, this.#options);
    this.#lanes.push(lane);
    if (this.#auth) lane.send(this.#auth);
    let opened = false;
    socket.addEventListener('open', () => {
      opened = true;
      if (lane === this.#main) this.#broadcast({ kind: 'opened' });
    });
    socket.addEventListener('message', ({ data }) => this.#receive(data, lane));
    socket.addEventListener('error', () => {
      if (lane === this.#main) this.#broadcast({ kind: 'error' });
    });
    socket.addEventListener('close', ({ code, reason }) => {
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
    this.#broadcast({ kind: 'closed', code, reason });
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
        this.#settle({ type: 'error', id, code: 'too-many-channels', message: 'Too many channels' });
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
    const message = parseMessage(data);
    if (!message || !this.#main.isOpen) return;
    const { type, id, channel } = message;
    // Together the tabs are one device, which stays when one of them goes.
    if (type === 'auth') {
      // The tabs are all of one user, and the first of them has said so.
      if (!this.#auth) this.#main.send(data);
      this.#auth = data;
    } else if (type === 'subscribe') this.#subscribe({ socket, message: { ...message, device: undefined } });
    else if (type === 'unsubscribe') {
      this.#unsubscribe(socket, channel);
      this.#answer([socket], { type: 'unsubscribed', channel, ...(id !== undefined && { id }) });
    } else if (type === 'response') {
      const others = this.#asking.get(id);
      others?.delete(socket);
      // The first answer counts, and that nobody can answer only when all have said so.
      if (!others || (message['error']?.code === 'no-handler' && others.size > 0)) return;
      this.#asking.delete(id);
      this.#main.send(data);
    } else {
      // While the tabs ask for signs of life, all sockets are asked, and one that is dead is found.
      if ((type === 'ping' || type === 'hello') && !this.#lanes.map((lane) => lane.ping(lane === this.#main)).every(Boolean)) {
        return this.#end({ code: 1006, reason: '' });
      }
      // The token is that of all sockets.
      if (type === 'refresh') {
        this.#auth &&= JSON.stringify({ type: 'auth', token: message['token'] });
        for (const lane of this.#lanes.slice(1)) lane.send(data);
      }
      const lane = this.#channels.get(channel)?.lane ?? this.#main;
      if (typeof id === 'string') remember(this.#senders, id, { socket, lane });
      lane.send(data);
    }
  }

  /** @param {Request} request */
  #subscribe(request) {
    const name = request.message['channel'];
    const channel = this.#channels.get(name) ?? {
      sockets: new Set(),
      waiting: [],
      since: null,
      subscribed: false,
      lane: this.#laneWithRoom(),
    };
    this.#channels.set(name, channel);
    // A tab asks again when messages were dropped. So does this line, for all.
    const { id } = request.message;
    if (id !== undefined && channel.waiting.some(({ message }) => message['id'] === id)) return;
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
      // The state of the channel only the server tells, to those who begin there.
      if (!channel.subscribed || (since ? at && !here : channel.initial)) {
        if (channel.subscribed) channel.lane.unsubscribe(message['channel']);
        channel.lane.subscribe(message);
        return;
      }
      channel.waiting.shift();
      channel.sockets.add(socket);
      this.#answer([socket], {
        type: 'subscribed',
        channel: message['channel'],
        id: message['id'],
        ...at,
        ...(here && { recovered: true }),
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
    // The first was passed on already: the server answers all the same.
    const [first] = channel.waiting;
    if (first?.socket === socket) first.cancelled = true;
    channel.waiting = channel.waiting.filter(
      (request) => request === first || request.socket !== socket,
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
    const message = parseMessage(data);
    const text = /** @type {string} */ (data);
    lane.heard(message, () => this.#resume(lane));
    if (message?.type === 'unsubscribed' && message['code'] !== undefined) this.#lose(message, lane, text);
    // A further socket is there for its channels alone.
    if (message?.type === 'unsubscribed' && lane !== this.#main && lane.isIdle) {
      this.#lanes = this.#lanes.filter((other) => other !== lane);
      lane.close();
      return;
    }
    if (!message) {
      this.#pass([...this.sockets], text);
      return;
    }
    const { type, id } = message;
    const found = this.#channels.get(message['channel']);
    // One that has moved to another socket may still be heard on the old one.
    const channel = found?.lane === lane ? found : undefined;
    const later = type === 'error' && message['retryAfterMs'] >= 0;
    if (type === 'subscribed' && message['joined'] && id === undefined) this.#join(message, lane, text);
    else if (type === 'request') this.#request(message, lane, text);
    else if (type === 'subscribed' || (type === 'error' && this.#asked(id))) {
      if (!later && !this.#move(message)) this.#settle(message);
    } else if (channel && (type === 'update' || type === 'gap' || type === 'deleted')) {
      const offset = type === 'gap' ? message['to'] : message['offset'];
      // A deletion is ahead only where it comes in the place of an update.
      if (channel.since && offset > channel.since.offset) channel.since.offset = offset;
      this.#pass([...channel.sockets], text);
    } else if (channel && type === 'renewed') {
      const { epoch, offset } = message;
      if (channel.since) channel.since = { epoch, offset: Math.min(channel.since.offset, offset) };
      this.#pass([...channel.sockets], text);
    } else if (channel && type === 'presence-diff') {
      this.#pass([...channel.sockets], text);
    } else if (typeof id === 'string' && this.#senders.has(id)) {
      const sender = /** @type {{ socket: string, lane: TabLane }} */ (this.#senders.get(id));
      if (sender.lane !== lane) return;
      this.#pass([sender.socket], text);
      if (!later) this.#senders.delete(id);
    } else if (type !== 'unsubscribed' && (lane === this.#main || later || channel)) {
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
    // Before the confirmation comes the end of a predecessor.
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
    // One that is known was asked for, and that is answered.
    if (lane !== this.#main || this.#channels.has(channel)) return;
    const since = typeof epoch === 'string' ? { epoch, offset } : null;
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
      const error = { code: 'no-handler', message: 'asked on another socket of this client' };
      lane.send(JSON.stringify({ type: 'response', id, error }));
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
    const channel = code === 'too-many-channels' && this.#channels.get(this.#asked(id)?.message['channel']);
    if (!channel || !channel.waiting[0]) return false;
    const { lane } = channel;
    const { message } = channel.waiting[0];
    lane.channels.delete(message['channel']);
    lane.capacity = Math.min(lane.capacity, lane.channels.size);
    // A socket that may have none at all is no matter of how many.
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
      if (id !== undefined && waiting[0]?.message['id'] === id) return waiting[0];
    }
    return undefined;
  }

  /** @param {WireMessage} answer */
  #settle(answer) {
    const name = answer['channel'] ?? this.#asked(answer['id'])?.message['channel'];
    const channel = this.#channels.get(name);
    const [first] = channel?.waiting ?? [];
    // An answer without an id is that of a server that answers in order.
    if (!channel || !first || (answer['id'] ?? first.message['id']) !== first.message['id']) return;
    channel.waiting.shift();
    channel.subscribed = answer.type === 'subscribed';
    if (!channel.subscribed) channel.lane.channels.delete(name);
    if (!channel.subscribed && channel.sockets.size > 0) {
      // Others had the channel, and were left for the sake of this one: each asks for itself.
      this.#end({ code: 1000, reason: '' });
      return;
    }
    // Recovered: what was missed follows, from where this tab stood.
    const { epoch, offset, recovered, data } = answer;
    const { since: before } = channel;
    const others = [...channel.sockets];
    const isSame = before?.epoch === epoch;
    if (others.length > 0 && before && recovered !== true && !(isSame && before.offset === offset)) {
      // What the others missed while this one was let in is asked for from where they stood.
      const message = { type: 'subscribe', channel: name, id: randomId(), since: before };
      if (!first.message['since']) channel.waiting.unshift({ socket: '', message, cancelled: true });
      else this.#answer(others, { type: 'gap', channel: name, from: isSame ? before.offset + 1 : 0, to: offset, epoch });
    }
    channel.initial ||= data !== undefined;
    if (channel.subscribed && !first.cancelled) channel.sockets.add(first.socket);
    if (recovered === true) channel.since = { ...first.message['since'], epoch };
    else channel.since = typeof epoch === 'string' ? { epoch, offset } : null;
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
    if (to.length > 0) this.#options.tell({ kind: 'message', to, data });
  }

  /** @param {Omit<TabMessage, 'from' | 'to'>} message */
  #broadcast(message) {
    if (this.sockets.size > 0) this.#options.tell({ ...message, to: [...this.sockets] });
  }
}

/**
 * Adds an entry, and forgets the oldest where there are too many.
 *
 * @template T
 * @param {Map<string, T>} entries
 * @param {string} id
 * @param {T} entry
 */
function remember(entries, id, entry) {
  entries.set(id, entry);
  const [oldest] = entries.keys();
  if (entries.size > REMEMBERED && oldest !== undefined) entries.delete(oldest);
}
