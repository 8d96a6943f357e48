import assert from 'node:assert/strict';
import { once } from 'node:events';
import WebSocket from 'ws';
import { Inbox, PATIENCE_MS, within } from './patience.js';

/**
 * @typedef {{ kind: 'text', text: string }
 *   | { kind: 'binary', data: Buffer }
 *   | { kind: 'ping', data: Buffer }
 *   | { kind: 'pong', data: Buffer }
 *   | { kind: 'close', code: number, reason: string }} Event
 */

/** A client on the npm package `ws`. What arrives is taken in order, so nothing is overlooked. */
export class Socket {
  /** @type {Inbox<Event>} */
  #inbox = new Inbox();
  #ws;

  /** @param {WebSocket} ws */
  constructor(ws) {
    this.#ws = ws;
    ws.on('message', (data, isBinary) => {
      if (isBinary) this.#inbox.put({ kind: 'binary', data: /** @type {Buffer} */ (data) });
      else this.#inbox.put({ kind: 'text', text: data.toString() });
    });
    ws.on('ping', (data) => this.#inbox.put({ kind: 'ping', data }));
    ws.on('pong', (data) => this.#inbox.put({ kind: 'pong', data }));
    ws.on('close', (code, reason) => this.#inbox.put({ kind: 'close', code, reason: reason.toString() }));
    // A reset after the close frame is not worth failing for; what matters is the close event.
    ws.on('error', () => {});
  }

  /**
   * @param {string} url
   * @param {WebSocket.ClientOptions} [options]
   */
  static async connect(url, options) {
    const ws = new WebSocket(url, options);
    // Before it is open, so that no early message is lost.
    const socket = new Socket(ws);
    await within(once(ws, 'open'), `a connection to ${new URL(url).pathname}`);
    return socket;
  }

  /**
   * The answer to a handshake that must be refused.
   *
   * @param {string} url
   * @param {WebSocket.ClientOptions} [options]
   */
  static async refused(url, options) {
    const ws = new WebSocket(url, options);
    /** @type {Promise<import('node:http').IncomingMessage>} */
    const answer = new Promise((resolve, reject) => {
      ws.on('unexpected-response', (_, response) => resolve(response));
      ws.on('open', () => reject(new Error('the handshake was not refused')));
      ws.on('error', reject);
    });
    const response = await within(answer, 'the refusal');
    let body = '';
    for await (const part of response.setEncoding('utf8')) body += part;
    ws.terminate();
    return { status: response.statusCode, headers: response.headers, body };
  }

  /**
   * Sends a text as it is, anything else as JSON.
   *
   * @param {unknown} message
   */
  send(message) {
    this.#ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** @param {Buffer} data */
  sendBinary(data) {
    this.#ws.send(data);
  }

  /**
   * Sends bytes as a text message, also such as are none.
   *
   * @param {Buffer} data
   */
  sendAsText(data) {
    this.#ws.send(data, { binary: false });
  }

  ping(data = '') {
    this.#ws.ping(data);
  }

  /** The next event, pings included. */
  next(ms = PATIENCE_MS) {
    return this.#inbox.take('something from the server', ms);
  }

  /** The text that comes next. */
  async text() {
    const event = await this.next();
    assert.equal(event.kind, 'text', `expected a text, got ${JSON.stringify(event)}`);
    return /** @type {any} */ (event).text;
  }

  /**
   * The message that comes next.
   *
   * @returns {Promise<any>}
   */
  async json() {
    return JSON.parse(await this.text());
  }

  /** The end of the connection, which must come next. */
  async closed() {
    const event = await this.next();
    assert.equal(event.kind, 'close', `expected the end, got ${JSON.stringify(event)}`);
    const { code, reason } = /** @type {any} */ (event);
    return { code, reason };
  }

  /** Says goodbye and waits until the connection has ended. */
  async close() {
    this.#ws.close();
    await this.#inbox.find(({ kind }) => kind === 'close', 'the end of the connection');
  }

  /** Dies without a close frame. */
  cut() {
    this.#ws.terminate();
  }
}

/**
 * Takes the timestamp out of a message after checking its form, so that the rest can be compared
 * as a whole.
 *
 * @param {Record<string, unknown>} message
 */
export function timeless({ timestamp, ...rest }) {
  assert.match(String(timestamp), /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
  const age = Date.now() - Date.parse(String(timestamp));
  assert.ok(Math.abs(age) < 60_000, `${timestamp} is not now`);
  return rest;
}

/**
 * Takes the position in a stream out of an answer after checking its form, and the counts that the guide
 * does not have, so that the rest can be
 * compared as a whole.
 *
 * @param {Record<string, unknown>} message
 */
export function positioned({ epoch, offset, userCount, usersVersion, ...rest }) {
  assert.equal(typeof epoch, 'string');
  assert.notEqual(epoch, '');
  assert.ok(Number.isSafeInteger(offset) && Number(offset) >= 0, `${offset} is no offset`);
  return { rest, position: { epoch: String(epoch), offset: Number(offset) } };
}
