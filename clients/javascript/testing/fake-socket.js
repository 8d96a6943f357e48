/**
 * A WebSocket whose network is the test.
 */
export class FakeSocket extends EventTarget {
  readyState = 0;
  /** What the client sent, parsed. */
  sent = [];
  /** Its questions about the server itself, which are not among these. */
  hellos = [];
  /** The code the client closed with. */
  closedWith = null;

  constructor(url, protocols) {
    super();
    this.url = url;
    this.protocols = protocols;
  }

  send(data) {
    if (this.readyState === 0) throw new Error('InvalidStateError: still connecting');
    const message = JSON.parse(data);
    (message.type === 'hello' ? this.hellos : this.sent).push(message);
  }

  close(code) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new Error(`InvalidAccessError: ${code}`);
    }
    this.closedWith = code;
    this.readyState = 2;
  }

  /** The server accepts. */
  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event('open'));
  }

  /** The server sends a message. */
  receive(message) {
    this.receiveRaw(JSON.stringify(message));
  }

  receiveRaw(data) {
    this.#dispatch('message', { data });
  }

  /** The server or the network closes. */
  end(code, reason = '') {
    this.readyState = 3;
    this.#dispatch('close', { code, reason });
  }

  /** The connection breaks, as a browser tells it: first `error`, then `close`. */
  break(message) {
    this.#dispatch('error', message === undefined ? {} : { message });
    this.end(1006);
  }

  #dispatch(type, fields) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }
}
