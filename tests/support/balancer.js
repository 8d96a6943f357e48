import { once } from 'node:events';
import net from 'node:net';
import { random } from './chance.js';

/** A way to several servers on this machine, of which each connection gets one at random. */
export class Balancer {
  /** Where the servers listen. @type {number[]} */
  #ports = [];
  #random;
  #server = net.createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  /** @type {Set<net.Socket>} */
  #sockets = new Set();

  /** @param {number} seed repeats the choices */
  constructor(seed) {
    this.#random = random(seed);
  }

  /**
   * Begins to accept connections.
   *
   * @param {number} port 0 for a free one
   * @param {number[]} ports those of the servers
   * @returns {Promise<number>} the port
   */
  async listen(port, ports) {
    this.#ports = ports;
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return /** @type {net.AddressInfo} */ (this.#server.address()).port;
  }

  /** Refuses connections from now on, as servers do that are about to end. */
  refuse() {
    if (this.#server.listening) this.#server.close();
  }

  /** Cuts the connections that the servers have not ended. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** @param {net.Socket} client */
  #accept(client) {
    this.#keep(client);
    this.#connect(client, [...this.#ports]);
  }

  /**
   * Connects a client with one of the servers, and with another if that one is not there.
   *
   * @param {net.Socket} client
   * @param {number[]} ports
   */
  #connect(client, ports) {
    const [port] = ports.splice(Math.floor(this.#random() * ports.length), 1);
    if (port === undefined) return client.destroy();
    const server = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let isConnected = false;
    this.#keep(server);
    server.once('connect', () => {
      isConnected = true;
      client.pipe(server);
      server.pipe(client);
    });
    server.once('close', (hadError) => {
      if (isConnected) end(client, hadError);
      else if (!client.destroyed) this.#connect(client, ports);
    });
    client.once('close', (hadError) => end(server, hadError));
  }

  /** @param {net.Socket} socket */
  #keep(socket) {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/**
 * Ends the other half as the first has ended: by a reset after a reset.
 *
 * @param {net.Socket} socket
 * @param {boolean} hadError
 */
function end(socket, hadError) {
  if (hadError && !socket.destroyed) socket.resetAndDestroy();
  else socket.destroySoon();
}
