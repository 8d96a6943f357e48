/**
 * A connection that tabs share.
 *
 * @module
 */

import { parseMessage } from './message.js';

/** @import { WebSocketLike } from './environment.js' */
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
 */

/**
 * @typedef {{ socket: string, message: WireMessage, cancelled?: boolean }} Request
 */

/** Messages whose answers find their way back, at most. */
const REMEMBERED = 10_000;

/**
 * A connection to the server, and the sockets of tabs that it stands for.
 *
 * To the server it looks like one client: channels are subscribed once, and left with the last
 * tab that listens. A tab that comes with a position of its own makes the hub subscribe anew from
 * there; the others drop by offset what they have already.
 */
export class TabLine {
  /** @type {Set<string>} */
  sockets = new Set();
  #socket;
  #tell;
  #ended;
  /** @type {Map<string, Channel>} */
  #channels = new Map();
  /** The sockets that sent messages, by the ids of these. @type {Map<string, string>} */
  #senders = new Map();

  /**
   * @param {object} options
   * @param {WebSocketLike} options.socket
   * @param {(message: Omit<TabMessage, 'from'>) => void} options.tell
   * @param {() => void} options.ended
   */
  constructor({ socket, tell, ended }) {
    this.#socket = socket;
    this.#tell = tell;
    this.#ended = ended;
    socket.addEventListener('open', () => this.#broadcast({ kind: 'opened' }));
    socket.addEventListener('message', ({ data }) => this.#receive(data));
    socket.addEventListener('error', () => this.#broadcast({ kind: 'error' }));
    socket.addEventListener('close', ({ code, reason }) => {
      this.#ended();
      this.#broadcast({ kind: 'closed', code, reason });
      this.sockets.clear();
    });
  }

  /** @param {string} socket */
  join(socket) {
    if (this.sockets.has(socket)) return;
    this.sockets.add(socket);
    if (this.#socket.readyState === 1) this.#tell({ kind: 'opened', to: [socket] });
  }

  /** @param {string} socket */
  leave(socket) {
    this.sockets.delete(socket);
    for (const channel of [...this.#channels.keys()]) this.#unsubscribe(socket, channel);
    if (this.sockets.size > 0) return;
    this.#ended();
    this.#socket.close(1000);
  }

  /**
   * @param {string} socket
   * @param {string} data
   */
  send(socket, data) {
    const message = parseMessage(data);
    if (!message || this.#socket.readyState !== 1) return;
    if (message.type === 'subscribe') this.#subscribe({ socket, message });
    else if (message.type === 'unsubscribe') this.#unsubscribe(socket, message['channel']);
    else {
      if (typeof message['id'] === 'string') this.#remember(message['id'], socket);
      this.#socket.send(data);
    }
  }

  /**
   * @param {string} id
   * @param {string} socket
   */
  #remember(id, socket) {
    this.#senders.set(id, socket);
    const [oldest] = this.#senders.keys();
    if (this.#senders.size > REMEMBERED && oldest !== undefined) this.#senders.delete(oldest);
  }

  /** @param {Request} request */
  #subscribe(request) {
    const name = request.message['channel'];
    const channel = this.#channels.get(name) ?? {
      sockets: new Set(),
      waiting: [],
      since: null,
      subscribed: false,
    };
    this.#channels.set(name, channel);
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
      if (!channel.subscribed || (since && at && !here)) {
        if (channel.subscribed) this.#sendUnsubscribe(message['channel']);
        this.#socket.send(JSON.stringify(message));
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
    this.#sendUnsubscribe(name);
  }

  /** @param {string} channel */
  #sendUnsubscribe(channel) {
    if (this.#socket.readyState === 1) {
      this.#socket.send(JSON.stringify({ type: 'unsubscribe', channel }));
    }
  }

  /** @param {unknown} data */
  #receive(data) {
    const message = parseMessage(data);
    const text = /** @type {string} */ (data);
    if (!message) {
      this.#pass([...this.sockets], text);
      return;
    }
    const { type, id } = message;
    const channel = this.#channels.get(message['channel']);
    if (type === 'subscribed' || (type === 'error' && this.#asked(id))) {
      this.#settle(message);
    } else if (channel && (type === 'update' || type === 'gap')) {
      const offset = type === 'gap' ? message['to'] : message['offset'];
      if (channel.since && offset > channel.since.offset) channel.since.offset = offset;
      this.#pass([...channel.sockets], text);
    } else if (channel && type === 'presence-diff') {
      this.#pass([...channel.sockets], text);
    } else if (typeof id === 'string' && this.#senders.has(id)) {
      this.#pass([/** @type {string} */ (this.#senders.get(id))], text);
      this.#senders.delete(id);
    } else if (type !== 'unsubscribed') {
      this.#pass([...this.sockets], text);
    }
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
    if (!channel.subscribed && channel.sockets.size > 0) {
      // Others had the channel, and were left for the sake of this one: each asks for itself.
      this.#socket.close(1000);
      return;
    }
    if (channel.subscribed && !first.cancelled) channel.sockets.add(first.socket);
    // Recovered: what was missed follows, from where this tab stood.
    const { epoch, offset, recovered } = answer;
    if (recovered === true) channel.since = { ...first.message['since'] };
    else channel.since = typeof epoch === 'string' ? { epoch, offset } : null;
    this.#answer([first.socket], answer);
    this.#ask(channel);
    if (channel.sockets.size === 0 && channel.waiting.length === 0) {
      this.#channels.delete(name);
      if (channel.subscribed) this.#sendUnsubscribe(name);
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
    if (to.length > 0) this.#tell({ kind: 'message', to, data });
  }

  /** @param {Omit<TabMessage, 'from' | 'to'>} message */
  #broadcast(message) {
    if (this.sockets.size > 0) this.#tell({ ...message, to: [...this.sockets] });
  }
}
