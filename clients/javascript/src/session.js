/**
 * Messages over a connection that comes back.
 *
 * @module
 */

import { Connection } from './connection.js';
import { Deadline } from './deadline.js';
import { ClientError, checkOptions, tooLarge } from './errors.js';
import { parseMessage, textOf } from './message.js';
import { Pulse } from './pulse.js';
import { Questions } from './questions.js';
import { SizeLimit } from './size-limit.js';
import { expiryOf, lifetimeOf, refreshDelay } from './token.js';

/** @import { Address, ConnectionEvents, ConnectionOptions } from './connection.js' */
/** @import { WireMessage } from './message.js' */
/** @import { QuestionsOptions, RequestOptions } from './questions.js' */
/** @import { MaybeToken } from './token.js' */
/** @import { UserId } from './wire.js' */

/**
 * @typedef {object} OwnOptions
 * @property {number} [requestTimeoutMs] How long the answer to a request may take, waiting for a
 *   connection included, in milliseconds. Default 30,000; with an outbox `Infinity`.
 * @property {number} [answerTimeoutMs] How long an open connection may be silent while an answer
 *   is due, in milliseconds; then it counts as lost. Default 15,000.
 * @property {number} [requestLimit] How many requests may wait for their answers. Default 100.
 * @property {number} [repeatWindowMs] How long after it first went out a request may be
 *   repeated, in milliseconds. Shorter than the server remembers answers. Default: ten seconds less
 *   than the server says, or 110,000.
 * @property {boolean} [greet] Whether the server may be asked about itself before it has shown
 *   that it answers by `id`. With it a line that dies silently is found from the first moment. Default:
 *   `true` for `LiveClient` and `ChatClient`, else `false`, as there are endpoints that would pass the
 *   question on to others.
 * @property {UserId} [user] The id of the user whose requests these are. Default: as the token says
 *   (its claim `id` or `sub`), or else the server.
 * @property {RequestKeeper} [outbox] Where requests outlive the page, as `new Outbox(name)`.
 *   Default: nowhere.
 */

/** @typedef {OwnOptions & ConnectionOptions} ClientOptions */

/**
 * A maker of requests that outlive the page, as `Outbox` is.
 *
 * @typedef {object} RequestKeeper
 * @property {(options: QuestionsOptions) => Questions} requests
 */

/**
 * A request of an earlier page, out of the outbox.
 *
 * @typedef {object} Restored
 * @property {string} id
 * @property {any} message
 * @property {Promise<any>} reply As of `request`.
 */

/**
 * Events of the client itself.
 *
 * @typedef {object} OwnEvents
 * @property {WireMessage} message Every message, before its own type's listeners.
 * @property {ClientError} fault The server sent what is not a JSON object, and it was dropped; or
 *   the outbox failed, and requests go on in memory; or a message was not sent, as JSON cannot say it or it
 *   is larger than the server takes.
 * @property {Restored} restored A request of an earlier page, out of the outbox.
 */

/** @typedef {ConnectionEvents & OwnEvents} LocalEvents */

/**
 * Messages to and from one endpoint, over connections that are opened again whenever they are lost:
 * what all clients have in common.
 *
 * @template {object} [Messages={}] The messages by their `type`.
 * @extends {Connection<OwnEvents & Messages>}
 */
export class Session extends Connection {
  /**
   * Events that do not come from the server, so that it cannot forge them.
   *
   * @protected
   * @type {ReadonlySet<unknown>}
   */
  static localEvents = new Set(['message', 'state', 'retry', 'fault', 'restored']);

  /**
   * Makes the requests of a client that has no outbox.
   *
   * @internal
   * @type {RequestKeeper['requests']}
   */
  static requests = (options) => new Questions(options);

  /**
   * @protected
   * @readonly
   * @type {Questions}
   */
  requests;

  /**
   * @protected
   * @readonly
   * @type {Pulse}
   */
  pulse;

  /** The functions that answer the server's requests, by their names. @type {Map<string, (data: any) => unknown>} */
  #handlers = new Map();
  #answerTimeoutMs;
  #repeatWindowMs;
  #greets;
  /** The longest message that the server takes. */
  #size = new SizeLimit();
  /** The time to replace the token. */
  #renewal;
  /** The present token, as it was last renewed, and its end. @type {MaybeToken} */
  #renewed;
  #expiry = NaN;
  /** By how much this machine's clock is fast, as far as the server has told, in milliseconds. */
  #clockError = 0;
  /** The end of a wait that the server imposed because there were too many messages. */
  #pause;
  /** The last message that only asks whether the connection lives; '': it is answered. */
  #probe = '';
  /** The question about the server; '': it is answered, `null`: not asked on this connection. @type {string | null} */
  #hello = null;

  /**
   * @param {Address} address
   * @param {ClientOptions} [options]
   * @throws {ClientError} `invalid-address`, `invalid-option`
   */
  constructor(address, options = {}) {
    super(address, options);
    const {
      outbox = null,
      requestTimeoutMs = outbox ? Infinity : 30_000,
      answerTimeoutMs = 15_000,
      requestLimit = 100,
      repeatWindowMs,
      greet = false,
    } = options;
    checkOptions(
      requestTimeoutMs > 0 && answerTimeoutMs > 0 && requestLimit >= 0 && (repeatWindowMs ?? 0) >= 0,
    );
    this.#answerTimeoutMs = answerTimeoutMs;
    this.#repeatWindowMs = repeatWindowMs;
    this.#greets = greet;
    const { environment } = this;
    this.#renewal = new Deadline(environment.timers);
    this.#pause = new Deadline(environment.timers);
    this.pulse = new Pulse({
      environment,
      answerMs: answerTimeoutMs,
      ask: () => this.#ask(),
      waiting: () => this.requests.waiting || this.#probe !== '',
      lost: () => this.lose('no-answer'),
    });
    const keeper = outbox ?? /** @type {typeof Session} */ (this.constructor);
    this.requests = keeper.requests({
      ...environment,
      client: /** @type {any} */ (this),
      limit: requestLimit,
      timeoutMs: requestTimeoutMs,
      windowMs: repeatWindowMs ?? 110_000,
      user: options.user,
    });
  }

  /**
   * Sends a message, if the connection is open. Nothing is kept for later: what could not go
   * out is the caller's to repeat.
   *
   * @param {object} message Anything that `JSON.stringify` turns into a JSON object.
   * @returns {boolean} Whether it went out. Whether it arrived, only an answer can tell. One that JSON
   *   cannot say or that is larger than the server takes does not go out, and is told by the event `fault`.
   */
  send(message) {
    let text;
    try {
      text = textOf(message);
      if (!this.fits(text)) throw tooLarge();
    } catch (error) {
      this.emit('fault', /** @type {ClientError} */ (error));
      return false;
    }
    return this.#sendText(text);
  }

  /**
   * Tells whether the server takes a message of this size, as far as it is known.
   *
   * @protected
   * @param {string} text
   */
  fits(text) {
    return this.#size.fits(text);
  }

  /**
   * Sends a message that is answered.
   *
   * @protected
   * @param {string} text
   */
  sendRequest(text) {
    const sent = !this.paused && this.#sendText(text);
    // A server that never answers says nothing about its connection by that.
    if (sent && this.requests.supported) this.pulse.expect();
    return sent;
  }

  /** @param {string} text */
  #sendText(text) {
    // The state lags behind the socket while a close is under way.
    if (this.state !== 'connected' || this.socket?.readyState !== OPEN) return false;
    this.#size.sent(text);
    this.socket.send(text);
    return true;
  }

  /**
   * Sends a message that the server answers: now or, if the client waits for a connection with its
   * requests, as soon as there is one.
   *
   * @template [R=WireMessage]
   * @param {object} message Gets a field `id`.
   * @param {RequestOptions} [options]
   * @returns {Promise<R>} The answer: the `data` of a `reply`, any other message as it is. Rejects with a `ClientError`: `refused` with the
   *   server's error as its `cause`, `invalid-message` for what JSON cannot say, `too-large`, `timeout`,
   *   `overflow`, `unsent`, `unconfirmed`, `unsupported`, `closed`.
   */
  request(message, options) {
    return this.requests.add(message, options);
  }

  /**
   * Answers the server's requests of a name. Of several functions for one name the last one does.
   *
   * @example
   * client.handle('confirm', async ({ question }) => await ask(question));
   *
   * @param {string} name
   * @param {(data: any) => unknown} handler Returns the answer or a promise of it, anything that JSON can
   *   say. If it throws, the server is told the `code`, where that is text, and the `message` of the error.
   *   An answer that cannot be sent is told by the event `fault`, and the server waits in vain.
   * @returns {() => void} Takes the function away.
   */
  handle(name, handler) {
    const handlers = this.#handlers;
    handlers.set(name, handler);
    return () => {
      if (handlers.get(name) === handler) handlers.delete(name);
    };
  }

  /** @param {WireMessage} request */
  async #respond({ id, name, data }) {
    const { socket } = this;
    let answer;
    try {
      const handler = this.#handlers.get(name);
      if (!handler) throw new ClientError('no-handler');
      answer = { data: (await handler(data)) ?? null };
    } catch (thrown) {
      const { code, message = String(thrown) } = Object(thrown);
      answer = { error: { ...(typeof code === 'string' && { code }), message } };
    }
    // Nobody waits for it on another connection.
    if (socket === this.socket) this.send({ type: 'response', id, ...answer });
  }

  /**
   * The address that the next attempt to connect leads to, as far as it is known.
   *
   * @protected
   * @returns {string | undefined}
   */
  place() {
    return undefined;
  }

  /**
   * Looks at a message before anybody else.
   *
   * @protected
   * @param {WireMessage} _message
   * @returns {boolean} Whether the others are to see it.
   */
  accept(_message) {
    return true;
  }

  /**
   * Tells everybody about a message of the server.
   *
   * @protected
   * @param {WireMessage} message
   */
  deliver(message) {
    this.emit('message', message);
    const { localEvents } = /** @type {typeof Session} */ (this.constructor);
    // A listener may have closed the client, and after `close` there are no more messages.
    if (
      this.state === 'connected' &&
      typeof message.type === 'string' &&
      !localEvents.has(message.type)
    ) {
      this.emit(message.type, message);
    }
  }

  /**
   * @override
   * @protected
   */
  opened() {
    const { requests } = this;
    requests.opened();
    if (requests.supported) this.#begin();
    // Perhaps nothing will come by which the server would show what it can do: it is asked then.
    else if (this.#greets && requests.supported === null) this.pulse.start();
  }

  /**
   * Finds out who this is to the server.
   *
   * @protected
   */
  askWho() {
    const { supported } = this.requests;
    if (this.state !== 'connected') return;
    if (supported || (supported === null && this.#greets)) this.#greet();
    else this.requests.identify();
  }

  /**
   * Asks the server about itself, once on each connection: who this is to it, and what it expects.
   * Servers that answer by `id` answer this too, if only by not knowing it.
   */
  #greet() {
    if (this.#hello !== null) return;
    this.#hello = this.requests.newId();
    this.#sayHello();
  }

  #sayHello() {
    if (this.#hello) this.send({ type: 'hello', id: this.#hello, ...this.introduction });
  }

  /**
   * Fields that go with the question about the server.
   *
   * @protected
   * @type {object}
   */
  introduction = {};

  /**
   * @override
   * @protected
   * @type {Connection['released']}
   */
  released(isEnd, code) {
    this.pulse.stop();
    this.#renewal.clear();
    this.#pause.clear();
    this.#hello = null;
    this.#probe = '';
    if (code === TOO_BIG) {
      this.#size.exceeded();
      this.requests.refuseTooLarge();
    }
    this.#size.ended();
    this.requests.released(isEnd);
  }

  /**
   * @override
   * @protected
   * @param {unknown} data
   */
  received(data) {
    this.pulse.heard();
    const message = parseMessage(data);
    if (!message) {
      this.emit('fault', new ClientError('invalid-message'));
      return;
    }
    if (message.type !== 'error' || ACCEPTED.has(message['code'])) this.admitted = true;
    // The close frame that follows says the same, but intermediaries may swallow it.
    if (message.type === 'reconnect') this.advise(message['afterMs']);
    const { id, retryAfterMs } = message;
    const later = message.type === 'error' && retryAfterMs >= 0;
    // Not executed. Which one was dropped it may not say: all that have no answer are sent again.
    if (later) this.#pause.start(Math.max(retryAfterMs, LEAST_PAUSE_MS), () => this.resumed());
    if (later ? this.#isOwn(id) : this.#ownAnswer(message)) return;
    const answered = later ? this.requests.has(id) : this.requests.answer(message);
    if (message.type === 'request') void this.#respond(message);
    const news = this.accept(message);
    if (this.requests.supported && this.#hello === null) this.#begin();
    if (!news || this.state !== 'connected') return;
    // A refused request is its sender's affair.
    if (answered && message.type === 'error') this.emit('message', message);
    else this.deliver(message);
  }

  /**
   * @override
   * @protected
   * @param {boolean} slept
   */
  awake(slept) {
    if (this.requests.supported) {
      this.#ask();
      this.pulse.expect(Math.min(PROBE_MS, this.#answerTimeoutMs));
    } else if (slept) {
      this.lose('no-answer');
    }
  }

  /**
   * @override
   * @protected
   * @type {Connection['dialling']}
   */
  dialling(address, token, source) {
    this.#renewAt(token);
    this.requests.enter(address, token, source);
  }

  /** The server answers by `id`: it can be asked. */
  #begin() {
    this.pulse.start();
    this.#greet();
  }

  /** @returns {boolean | null} Whether something is to come; `null`: the server answers nobody. */
  #ask() {
    const { supported } = this.requests;
    if (supported) {
      // Whatever the answer is, it shows that the connection lives.
      this.#probe = this.requests.newId();
      this.send({ type: 'ping', id: this.#probe });
    } else if (supported === null) {
      // One that was asked and has not answered has perhaps dropped it.
      this.#sayHello();
      this.#greet();
    }
    // One that knows no such question says that.
    return supported === false ? null : true;
  }

  /** @param {unknown} id */
  #isOwn(id) {
    return id && (id === this.#hello || id === this.#probe);
  }

  /**
   * True while the server takes no messages, as there were too many.
   *
   * @protected
   */
  get paused() {
    return this.#pause.set;
  }

  /**
   * Takes the answers to what the client asks for itself, which are nobody else's affair.
   *
   * @param {WireMessage} message
   * @returns {boolean} Whether it is one.
   */
  #ownAnswer(message) {
    const { requests } = this;
    const { id, type } = message;
    // A server without ids does not know such questions, and says so without one.
    if (this.#hello && requests.supported === null && id === undefined && type === 'error') {
      this.#hello = '';
      requests.support(false);
      requests.identify();
      return !message['code'];
    }
    if (!this.#isOwn(id)) return false;
    requests.supported = true;
    if (id === this.#probe) this.#probe = '';
    else {
      this.#hello = '';
      requests.identify(type === 'hello' ? this.#welcomed(message) : undefined);
    }
    this.#begin();
    return true;
  }

  /**
   * The server takes messages again, after it has dropped some.
   *
   * @protected
   */
  resumed() {
    this.#sayHello();
    this.requests.repeat();
  }

  /**
   * The server has told about itself.
   *
   * @param {WireMessage} hello
   * @returns {UserId | undefined} The user that this is to it.
   */
  #welcomed({ user, time, pingIntervalMs, maxMessageBytes, windowMs }) {
    const { requests } = this;
    this.#clockError = this.environment.date() - Date.parse(time) || 0;
    this.#renewAt(this.#renewed, this.#expiry);
    this.pulse.intervalMs = pingIntervalMs;
    this.#size.told(maxMessageBytes);
    requests.refuseTooLarge();
    // What is sent takes its time to arrive.
    if (windowMs > 0) requests.windowMs = Math.min(this.#repeatWindowMs ?? Infinity, windowMs - UNDER_WAY_MS);
    return user?.id;
  }

  /**
   * @param {MaybeToken} token
   * @param {number} [expiry] In milliseconds since 1970, or `NaN`.
   */
  #renewAt(token, expiry = expiryOf(token)) {
    this.#renewed = token;
    this.#expiry = expiry;
    // A ticket ends long before its connection.
    if (typeof this.token !== 'function' || !expiry || this.hasTickets) return;
    const left = expiry - (this.environment.date() - this.#clockError);
    // By a clock that is slow, it would seem to live for longer than it was made for.
    const delay = refreshDelay(Math.min(left, lifetimeOf(token)));
    this.#renewal.start(delay, () => void this.#renew());
  }

  /** Replaces the token on the open connection. */
  async #renew() {
    const { socket } = this;
    // Otherwise the server ends the connection in its time, and the next one gets a new token.
    if (!socket || !this.requests.supported) return;
    const current = () => socket === this.socket;
    try {
      const token = await this.askToken();
      if (!current()) return;
      const options = { timeoutMs: this.#answerTimeoutMs, repeat: false };
      const { expiresAt } = await this.request({ type: 'refresh', token }, options);
      if (current()) this.#renewAt(token, Date.parse(expiresAt) || expiryOf(token));
    } catch (error) {
      if (!current()) return;
      const { code, refusal } = /** @type {Partial<ClientError>} */ (error ?? {});
      if (code === 'unauthorized') {
        this.fail('unauthorized', { error: /** @type {ClientError} */ (error) });
      } else if (code !== 'refused' || refusal === 'invalid-token' || refusal === 'token-expired') {
        // The present one is as good as before; perhaps the function has a better one in a while.
        this.#renewAt(this.#renewed, this.#expiry);
      }
      // Refused for another reason: this server cannot do it, and ends the connection in time.
    }
  }
}

/** The ends of connections whose tokens were accepted. @type {ReadonlySet<unknown>} */
const ACCEPTED = new Set(['token-expired', 'disconnected']);

/** The server's time is that for one message; more than one may be due. */
const LEAST_PAUSE_MS = 250;

/** The time that a message may be under way, in milliseconds. */
const UNDER_WAY_MS = 10_000;

/** Somebody looks at a page that was hidden: they are not to wait for long. */
const PROBE_MS = 5_000;

/** "Message Too Big" (RFC 6455 §7.4.1). */
const TOO_BIG = 1009;

/** `WebSocket.OPEN`, which not every stand-in for a WebSocket has. */
const OPEN = 1;
