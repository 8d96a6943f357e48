/**
 * The leader's side of a connection that tabs share.
 *
 * @module
 */

import { randomId } from './random-id.js';
import { TabLine } from './tab-line.js';

/** @import { Timers, WebSocketConstructor } from './environment.js' */
/** @import { TabMessage } from './tab.js' */

/**
 * @typedef {object} HubOptions
 * @property {WebSocketConstructor} WebSocket
 * @property {(message: TabMessage) => void} tell Reaches every tab, this one included.
 * @property {Timers} timers
 * @property {() => number} now
 * @property {(tab: string, callback: () => void) => void} gone Calls back when a tab is closed.
 */

/**
 * Joins the sockets of all tabs in one connection to each address.
 */
export class TabHub {
  #options;
  #id = randomId();
  /** @type {Map<string, TabLine>} */
  #lines = new Map();
  /** The newest address and subprotocols of each line, one of which has the token. @type {Map<string, [string, string[] | undefined]>} */
  #urls = new Map();
  /** @type {Set<string>} */
  #tabs = new Set();

  /** @param {HubOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** Tells the tabs that there is a leader. */
  announce() {
    this.#tell({ kind: 'leader' });
  }

  /** @param {TabMessage} message */
  hear({ kind, from, socket, url, protocols, data }) {
    if (socket === undefined) return;
    if (kind === 'open' && url !== undefined) {
      this.#follow(from);
      this.#line(url, protocols).join(socket);
      return;
    }
    for (const line of this.#lines.values()) {
      if (!line.sockets.has(socket)) continue;
      if (kind === 'send' && data !== undefined) line.send(socket, data);
      else if (kind === 'close') line.leave(socket);
    }
  }

  /** @param {string} tab */
  #follow(tab) {
    if (this.#tabs.has(tab)) return;
    this.#tabs.add(tab);
    this.#options.gone(tab, () => {
      this.#tabs.delete(tab);
      for (const line of this.#lines.values()) {
        for (const socket of [...line.sockets]) if (socket.startsWith(`${tab}/`)) line.leave(socket);
      }
    });
  }

  /**
   * @param {string} url
   * @param {string[]} [protocols]
   */
  #line(url, protocols) {
    // Each tab may have a token of its own; they are all of one user.
    const address = new URL(url);
    address.searchParams.delete('token');
    // A further socket is opened with the token that came last.
    this.#urls.set(address.href, [url, protocols]);
    const known = this.#lines.get(address.href);
    if (known) return known;
    const line = new TabLine({
      ...this.#options,
      open: () => new this.#options.WebSocket(...(this.#urls.get(address.href) ?? [url, protocols])),
      tell: (message) => this.#tell(message),
      ended: () => {
        // One that was given up may end late, when it has a successor.
        if (this.#lines.get(address.href) === line) this.#lines.delete(address.href);
      },
    });
    this.#lines.set(address.href, line);
    return line;
  }

  /** @param {Omit<TabMessage, 'from'>} message */
  #tell(message) {
    this.#options.tell({ ...message, from: this.#id });
  }
}
