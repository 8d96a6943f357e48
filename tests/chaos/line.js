import { once } from 'node:events';
import net from 'node:net';

/**
 * What a line does with what goes over it: `up`; `held` and `heldBack` let nothing through in both
 * directions or from the server, and tell nobody; `slow` delays each piece by 200 ms; `cut` refuses.
 *
 * @typedef {'up' | 'held' | 'heldBack' | 'slow' | 'cut'} Mode
 */

const SLOW_MS = 200;

/**
 * One direction of a connection, with what lies on it.
 *
 * @typedef {{ to: net.Socket, isBack: boolean, pieces: { data: Buffer, at: number }[], isMoving: boolean }} Way
 */

/** A line between a node and a Redis, which fails on demand. */
export class EngineLine {
  port = 0;
  /** @type {Mode} */
  #mode = 'up';
  #to;
  /** @type {Set<net.Socket>} */
  #sockets = new Set();
  /** The ways that wait until the line is up again. @type {Set<Way>} */
  #waiting = new Set();
  #server = net.createServer((socket) => this.#accept(socket));

  /** @param {number} to */
  constructor(to) {
    this.#to = to;
  }

  /** @param {number} to the port of the server */
  static async lay(to) {
    const line = new EngineLine(to);
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    line.port = /** @type {net.AddressInfo} */ (line.#server.address()).port;
    return line;
  }

  /** @param {Mode} mode */
  set mode(mode) {
    this.#mode = mode;
    if (mode === 'cut') this.reset();
    for (const way of [...this.#waiting]) this.#move(way);
  }

  /** Breaks every connection, in the middle of whatever is under way. */
  reset() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  end() {
    this.#server.close();
    this.reset();
  }

  /** @param {net.Socket} node */
  #accept(node) {
    if (this.#mode === 'cut') {
      node.resetAndDestroy();
      return;
    }
    const engine = net.connect(this.#to, '127.0.0.1');
    for (const [from, to] of [[node, engine], [engine, node]]) {
      /** @type {Way} */
      const way = { to, isBack: to === node, pieces: [], isMoving: false };
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        this.#waiting.delete(way);
        to.destroy();
      });
      from.on('data', (data) => {
        way.pieces.push({ data, at: performance.now() });
        this.#move(way);
      });
    }
  }

  /** Moves what lies on a way, in the order in which it came. @param {Way} way */
  #move(way) {
    if (way.isMoving) return;
    this.#waiting.delete(way);
    for (let [piece] = way.pieces; piece; [piece] = way.pieces) {
      if (this.#mode === 'held' || (this.#mode === 'heldBack' && way.isBack)) {
        this.#waiting.add(way);
        return;
      }
      const left = this.#mode === 'slow' ? piece.at + SLOW_MS - performance.now() : 0;
      if (left > 0) {
        way.isMoving = true;
        setTimeout(() => {
          way.isMoving = false;
          this.#move(way);
        }, left);
        return;
      }
      way.pieces.shift();
      way.to.write(piece.data);
    }
  }
}
