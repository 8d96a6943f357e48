/**
 * A tab among those that share a connection.
 *
 * @module
 */

import { randomId } from './random-id.js';
import { TabHub } from './tab-hub.js';

/** @import { Timers, WebSocketConstructor } from './environment.js' */

/**
 * A message between tabs. `to` is absent where it concerns everybody.
 *
 * @typedef {object} TabMessage
 * @property {'open' | 'send' | 'close' | 'opened' | 'message' | 'closed' | 'error' | 'leader'} kind
 * @property {string} from The tab, or the leader.
 * @property {string[]} [to] Sockets.
 * @property {string} [socket] The socket that says it.
 * @property {string} [url]
 * @property {string[]} [protocols]
 * @property {string} [data]
 * @property {number} [code]
 * @property {string} [reason]
 */

/**
 * The part of `LockManager` that tabs use.
 *
 * @typedef {object} Locks
 * @property {(name: string, callback: () => any) => Promise<any>} request
 */

/**
 * The part of a `BroadcastChannel` that tabs use.
 *
 * @typedef {object} Channel
 * @property {((event: any) => void) | null} onmessage
 * @property {(message: any) => void} postMessage
 */

/** @typedef {new (name: string) => Channel} ChannelConstructor */

/**
 * A socket of this tab, which the leader speaks to.
 *
 * @typedef {object} TabSocket
 * @property {(leader: string) => void} follow There is a new leader.
 * @property {(message: TabMessage) => void} hear
 */

/** This tab among the others. */
export class Tab {
  id = randomId();
  /** @type {Map<string, TabSocket>} */
  #sockets = new Map();
  #channel;
  #opened = 0;
  /** Messages that wait until the lock is held. @type {TabMessage[] | null} */
  #unsaid = [];

  /**
   * @param {string} name
   * @param {WebSocketConstructor} WebSocket
   * @param {Locks} locks
   * @param {ChannelConstructor} Channel
   * @param {{ timers: Timers, now: () => number }} clock
   */
  constructor(name, WebSocket, locks, Channel, clock) {
    this.#channel = new Channel(name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    // Held until the tab is gone, however it goes: that is how the leader learns of it. A leader
    // that heard of the tab before would find the lock free, and the tab gone.
    void locks.request(`${name}:${this.id}`, () => {
      for (const message of this.#unsaid ?? []) this.#channel.postMessage(message);
      this.#unsaid = null;
      return new Promise(() => {});
    });
    void locks.request(`${name}:leader`, () => {
      const channel = new Channel(name);
      const hub = new TabHub({
        ...clock,
        WebSocket,
        tell: (message) => {
          channel.postMessage(message);
        },
        gone: (tab, callback) => {
          void locks.request(`${name}:${tab}`, callback);
        },
      });
      channel.onmessage = ({ data }) => hub.hear(data);
      hub.announce();
      return new Promise(() => {});
    });
  }

  /**
   * @param {TabSocket} socket
   * @returns {string}
   */
  add(socket) {
    const id = `${this.id}/${(this.#opened += 1)}`;
    this.#sockets.set(id, socket);
    return id;
  }

  /** @param {string} socket */
  remove(socket) {
    this.#sockets.delete(socket);
  }

  /** @param {Omit<TabMessage, 'from'>} message */
  say(message) {
    const said = { ...message, from: this.id };
    if (this.#unsaid) this.#unsaid.push(said);
    else this.#channel.postMessage(said);
  }

  /** @param {TabMessage} message */
  #hear(message) {
    if (message.kind === 'leader') {
      for (const socket of [...this.#sockets.values()]) socket.follow(message.from);
    }
    for (const id of message.to ?? []) this.#sockets.get(id)?.hear(message);
  }
}
