import { FakeSocket } from './fake-socket.js';
import { VirtualClock } from './virtual-clock.js';

/**
 * A clock, a network and the sockets that a client opens on it. Random numbers are 0.5, so
 * that the waits are 250, 500, 1000, 2000, 4000, 8000, 10000, 10000 … milliseconds.
 */
export function world() {
  const clock = new VirtualClock();
  const network = new EventTarget();
  const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const sockets = [];
  /** Whether the server answers pings, so that a test is not disturbed by them. */
  const server = { answersPings: false };
  class WebSocket extends FakeSocket {
    constructor(...args) {
      super(...args);
      sockets.push(this);
    }
    send(data) {
      super.send(data);
      const { type, id } = this.sent.at(-1) ?? {};
      if (server.answersPings && type === 'ping') this.receive({ type: 'pong', id });
    }
  }
  return {
    clock,
    network,
    server,
    /** Hides the page, or shows it. */
    show(visible) {
      page.visibilityState = visible ? 'visible' : 'hidden';
      page.dispatchEvent(new Event('visibilitychange'));
    },
    sockets,
    /** The newest socket. */
    get socket() {
      return sockets.at(-1);
    },
    options: {
      WebSocket,
      timers: clock.timers,
      now: clock.now,
      date: clock.date,
      random: () => 0.5,
      // Nobody asks why a handshake failed, but where a test does.
      fetch: null,
      network,
      page,
    },
  };
}
