import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { WebSocketServer } from 'ws';
import { ContractServer } from '../../clients/javascript/testing/contract-server.js';
import { ROOT } from './program.js';

const CLIENT = path.join(ROOT, 'clients/javascript/src');

/**
 * A server with real sockets that keeps positions, answers requests once and knows who is there,
 * and gives browsers the client at `/client/`. Its streams survive a restart.
 */
export class ContractHost {
  contract = new ContractServer({ history: 1_000 });
  port = 0;
  /** Connections that were ever made. */
  accepted = 0;
  /** @type {import('node:http').Server | null} */
  #http = null;
  /** How many bytes a second reach a client; `Infinity`: as many as go through. */
  bytesPerSecond = Infinity;

  static async start() {
    const host = new ContractHost();
    await host.run();
    return host;
  }

  get page() {
    return `http://localhost:${this.port}`;
  }

  async run() {
    const http = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? '/', this.page);
      const name = /^\/client\/([a-z-]+\.js)$/.exec(pathname)?.[1];
      response.setHeader('content-type', name ? 'text/javascript' : 'text/html');
      if (name) createReadStream(path.join(CLIENT, name)).pipe(response);
      else response.end('<!doctype html><title>A page</title><link rel="icon" href="data:,">');
    });
    const sockets = new WebSocketServer({ server: http });
    sockets.on('connection', (socket, request) => this.#accept(socket, request.url ?? '/'));
    http.listen(this.port, 'localhost');
    await once(http, 'listening');
    this.port = /** @type {import('node:net').AddressInfo} */ (http.address()).port;
    this.#http = http;
  }

  /** Ends all connections, with a word or without one, and answers nobody until `run`. */
  async stop({ abruptly = false } = {}) {
    const http = this.#http;
    if (!http) return;
    this.#http = null;
    const closed = once(http, 'close');
    http.close();
    if (abruptly) http.closeAllConnections();
    this.contract.cut(abruptly ? 1006 : 1012);
    http.closeAllConnections();
    await closed;
  }

  /**
   * @param {import('ws').WebSocket} socket
   * @param {string} url
   */
  #accept(socket, url) {
    this.accepted += 1;
    const out = new Drip(socket, () => this.bytesPerSecond);
    const session = this.contract.connect(url, {
      send: (/** @type {unknown} */ message) => out.send(JSON.stringify(message)),
      close: (/** @type {number} */ code, /** @type {string} */ reason) => {
        if (code === 1006) socket.terminate();
        else socket.close(code, reason);
      },
    });
    socket.on('message', (data) => session.receive(JSON.parse(data.toString())));
    socket.on('close', () => session.ended());
    socket.on('error', () => {});
  }
}

/** Sends messages at the pace of a slow line, in order. */
class Drip {
  /** @type {string[]} */
  #queue = [];
  #busy = false;
  #socket;
  #rate;

  /**
   * @param {import('ws').WebSocket} socket
   * @param {() => number} rate
   */
  constructor(socket, rate) {
    this.#socket = socket;
    this.#rate = rate;
  }

  /** @param {string} text */
  send(text) {
    if (this.#rate() === Infinity && !this.#busy) this.#socket.send(text);
    else {
      this.#queue.push(text);
      if (!this.#busy) this.#next();
    }
  }

  #next() {
    const text = this.#queue.shift();
    this.#busy = text !== undefined;
    if (text === undefined) return;
    setTimeout(() => {
      this.#socket.send(text);
      this.#next();
    }, (text.length * 1_000) / this.#rate());
  }
}
