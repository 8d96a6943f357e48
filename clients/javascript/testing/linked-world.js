import { FakeSocket } from './fake-socket.js';
import { world } from './world.js';

/**
 * A world whose sockets lead to a server in memory. What is sent either way lies on the wire
 * until the test moves it on, in order.
 */
export function linkedWorld(server) {
  const w = world();
  const links = [];
  class WebSocket extends LinkedSocket {
    constructor(url, protocols) {
      super(url, protocols);
      const bearer = protocols?.find((name) => name.startsWith('nextrush.bearer.'))?.slice('nextrush.bearer.'.length);
      this.reach = () => server.connect(url, this.far, bearer);
      links.push(this);
    }
  }
  const alive = () => links.filter(({ broken }) => !broken);
  return {
    ...w,
    links,
    options: { ...w.options, WebSocket },
    /** Connections that are neither broken nor given up. */
    alive,
    /** Moves one message, of the wire that `pick` chooses. Returns false if none is under way. */
    step(pick = (wires) => wires[0]) {
      const wires = links.flatMap((link) => link.wires());
      if (wires.length === 0) return false;
      pick(wires)();
      return true;
    },
    /** Moves everything, until nothing is under way. */
    settle() {
      for (let steps = 0; this.step(); steps += 1) {
        if (steps > 100_000) throw new Error('the wires never fall silent');
      }
    },
  };
}

class LinkedSocket extends FakeSocket {
  /** True when nothing is delivered any more, and neither end is told. */
  silent = false;

  /** What lies on the wire, as functions that deliver it. */
  #up = [];
  #down = [];
  #session = null;
  broken = false;

  constructor(url, protocols) {
    super(url, protocols);
    this.#up.push(() => {
      this.#down.push(() => this.open());
      this.#session = this.reach();
    });
  }

  /** The server's end. */
  far = {
    send: (message) => {
      const text = JSON.stringify(message);
      this.#down.push(() => this.receiveRaw(text));
    },
    close: (code, reason) => {
      this.#down.push(() => this.#end(code, reason));
    },
  };

  send(data) {
    super.send(data);
    const message = JSON.parse(data);
    this.#up.push(() => this.#session.receive(message));
  }

  close(code) {
    super.close(code);
    // Whatever the server says from now on, nobody listens.
    this.#up.push(() => this.#end(code, ''));
  }

  /** What was sent arrives at the server. */
  arrive() {
    while (!this.silent && this.#up.length > 0) this.#up.shift()();
  }

  /** Each end notices at once, and what lies on the wire is lost. */
  break() {
    this.#end(1006, '');
  }

  wires() {
    if (this.silent) return [];
    return [this.#up, this.#down]
      .filter((wire) => wire.length > 0)
      .map((wire) => () => wire.shift()());
  }

  #end(code, reason) {
    if (this.broken) return;
    this.broken = true;
    this.#up = [];
    this.#down = [];
    this.#session?.ended();
    this.end(code, reason);
  }
}
