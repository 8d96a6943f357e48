/**
 * A connection for all tabs of a site.
 *
 * @module
 */

import { platformTimers } from './environment.js';
import { Tab } from './tab.js';

/** @import { Timers, WebSocketConstructor, WebSocketLike } from './environment.js' */
/** @import { ChannelConstructor, Locks, TabMessage } from './tab.js' */

/**
 * @typedef {object} Platform
 * @property {WebSocketConstructor} [WebSocket]
 * @property {Locks} [locks] Web Locks, as `navigator.locks`.
 * @property {ChannelConstructor} [BroadcastChannel]
 * @property {Timers} [timers]
 * @property {() => number} [now]
 */

/**
 * A `WebSocket` for `LiveClient` that all tabs share: one of them, the leader, holds the only
 * connection, and passes on what the others send and get. When the leader is closed, another
 * tab takes over, and everybody goes on from where they stood.
 *
 * The name must tell one signed-in user from another, because the tabs share the connection of
 * whoever connects first. Only the endpoint `/live` is shared. Where the platform has no Web Locks or no BroadcastChannel (also pages
 * without HTTPS), this is the platform's own `WebSocket`.
 *
 * @example
 * const live = new LiveClient(token, { WebSocket: sharedWebSocket(`live of ${user.id}`) });
 *
 * @param {string} name
 * @param {Platform} [platform] Default: the platform's own.
 * @returns {WebSocketConstructor}
 */
export function sharedWebSocket(
  name,
  {
    WebSocket = globalThis.WebSocket,
    locks = globalThis.navigator?.locks,
    BroadcastChannel = globalThis.BroadcastChannel,
    timers = platformTimers,
    now = () => performance.now(),
  } = {},
) {
  if (!locks || !BroadcastChannel) return WebSocket;
  /** @type {Tab | null} */
  let tab = null;
  return /** @type {WebSocketConstructor} */ (class extends SharedSocket {
    /**
     * @param {string} url
     * @param {string[]} [protocols]
     */
    constructor(url, protocols) {
      // At other endpoints each connection has a greeting and a state of its own.
      if (!new URL(url).pathname.endsWith('/live')) {
        return /** @type {any} */ (new WebSocket(url, protocols));
      }
      // Not before somebody connects: a tab that only could is not to hold locks.
      tab ??= new Tab(`nextrush-tabs:${name}`, WebSocket, locks, BroadcastChannel, { timers, now });
      super(tab, url, protocols);
    }
  });
}

/**
 * Looks like a WebSocket, and is a conversation with the leader.
 *
 * @internal
 * @implements {WebSocketLike}
 */
export class SharedSocket extends EventTarget {
  readyState = 0;
  #tab;
  #id;
  #url;
  #protocols;
  /** The leader that opened it. @type {string | null} */
  #leader = null;

  /**
   * @param {Tab} tab
   * @param {string} url
   * @param {string[]} [protocols]
   */
  constructor(tab, url, protocols) {
    super();
    this.#tab = tab;
    this.#url = url;
    this.#protocols = protocols;
    this.#id = tab.add(this);
    this.#open();
  }

  /** @param {string} data */
  send(data) {
    if (this.readyState === 1) this.#tab.say({ kind: 'send', socket: this.#id, data });
  }

  close() {
    if (this.readyState > 1) return;
    this.readyState = 2;
    this.#tab.say({ kind: 'close', socket: this.#id });
    queueMicrotask(() => this.#end(1000, ''));
  }

  /**
   * There is a new leader.
   *
   * @param {string} leader
   */
  follow(leader) {
    // A tab that waits for a leader asks again; one that had another leader comes back at once,
    // because nothing is wrong with the server.
    if (this.readyState === 0) this.#open();
    else if (this.#leader !== leader) this.#end(1012, 'reconnect after 0 ms');
  }

  /** @param {TabMessage} message */
  hear({ kind, from, data, code = 1006, reason = '' }) {
    if (kind === 'opened' && this.readyState === 0) {
      this.#leader = from;
      this.readyState = 1;
      this.dispatchEvent(new Event('open'));
    } else if (kind === 'message' && this.readyState === 1) {
      this.dispatchEvent(Object.assign(new Event('message'), { data }));
    } else if (kind === 'error') {
      this.dispatchEvent(new Event('error'));
    } else if (kind === 'closed') {
      this.#end(code, reason);
    }
  }

  #open() {
    const protocols = this.#protocols;
    this.#tab.say({ kind: 'open', socket: this.#id, url: this.#url, ...(protocols && { protocols }) });
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.#tab.remove(this.#id);
    this.dispatchEvent(Object.assign(new Event('close'), { code, reason }));
  }
}
