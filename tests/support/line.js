import { once } from 'node:events';
import net from 'node:net';

/**
 * A line between a browser and a server that can be slow, break, and refuse connections by what
 * they ask for first.
 */
export class Line {
  /** How many bytes a second go to the browser; `Infinity`: as many as go through. */
  bytesPerSecond = Infinity;
  /** Connections whose first bytes match are cut. @type {RegExp | null} */
  refuse = null;
  port = 0;
  #to;
  /** @type {Set<net.Socket>} */
  #sockets = new Set();
  #server = net.createServer((socket) => this.#accept(socket));

  /** @param {number} to the port of the server */
  constructor(to) {
    this.#to = to;
  }

  /** @param {number} to */
  static async lay(to) {
    const line = new Line(to);
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    line.port = /** @type {net.AddressInfo} */ (line.#server.address()).port;
    return line;
  }

  get page() {
    return `http://localhost:${this.port}`;
  }

  /** Breaks every connection that there is. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  async end() {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  /** @param {net.Socket} browser */
  #accept(browser) {
    const server = net.connect(this.#to, '127.0.0.1');
    for (const [socket, other] of [[browser, server], [server, browser]]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    let isFirst = true;
    browser.on('data', (data) => {
      if (isFirst && this.refuse?.test(data.toString('latin1'))) return browser.destroy();
      isFirst = false;
      server.write(data);
    });
    server.on('data', (data) => {
      browser.write(data);
      if (this.bytesPerSecond === Infinity) return;
      server.pause();
      setTimeout(() => server.resume(), (data.length * 1_000) / this.bytesPerSecond);
    });
  }
}
