/**
 * Clients that mean it no good: bytes as no library sends them, and what they must not do to the others.
 *
 * @module
 */

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually, within } from './patience.js';
import { Socket } from './socket.js';

export const MIB = 1 << 20;
/** The memory that a case may cost the server, in bytes: allocators keep some of what they had. */
const GROWTH_BYTES = 16 * MIB;
/** The time between two questions of a bystander, in milliseconds. */
const BYSTANDER_MS = 5;
/** The longest that a bystander may wait for its echo, in milliseconds, on a machine that others use too. */
const LONGEST_ECHO_MS = 10_000;

/** Memory and descriptors are read in `/proc`. */
export const LINUX_ONLY = { skip: process.platform !== 'linux' && '/proc is of Linux' };

/** The opening handshake of RFC 6455 §1.3, by the names of its headers. */
const HANDSHAKE = {
  Host: 'localhost',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/**
 * An opening handshake in which some headers are others: `null` leaves one out, a list repeats it.
 *
 * @param {Record<string, string | string[] | null>} [changed]
 * @param {string} [line]
 */
export function handshake(changed = {}, line = 'GET /chat HTTP/1.1') {
  const headers = Object.entries({ ...HANDSHAKE, ...changed }).flatMap(([name, values]) =>
    values === null ? [] : [values].flat().map((value) => `${name}: ${value}\r\n`),
  );
  return `${line}\r\n${headers.join('')}\r\n`;
}

/**
 * A frame as it is asked for, right or wrong. The mask is of zeros, so that the payload is as it was.
 *
 * @param {number} opcode
 * @param {string | Buffer} [payload]
 * @param {{ isLast?: boolean, rsv?: number, isMasked?: boolean, length?: Buffer }} [options] `length` stands
 *   for the bits of the length and what follows them, without the bit of the mask
 */
export function frame(opcode, payload = '', { isLast = true, rsv = 0, isMasked = true, length } = {}) {
  const bytes = Buffer.from(payload);
  const head = Buffer.from([(isLast ? 0x80 : 0) | (rsv << 4) | opcode]);
  const long = Buffer.from(length ?? lengthOf(bytes.length));
  if (isMasked) long[0] |= 0x80;
  return Buffer.concat([head, long, isMasked ? Buffer.alloc(4) : Buffer.alloc(0), bytes]);
}

/** @param {number} bytes */
export function lengthOf(bytes) {
  if (bytes < 126) return Buffer.from([bytes]);
  if (bytes < 65_536) return Buffer.from([126, bytes >> 8, bytes & 0xff]);
  const long = Buffer.alloc(9);
  long[0] = 127;
  long.writeBigUInt64BE(BigInt(bytes), 1);
  return long;
}

/** @typedef {{ isLast: boolean, rsv: number, opcode: number, payload: Buffer }} Frame */

/**
 * The whole frames at the start of what a server has sent.
 *
 * @param {Buffer} bytes
 * @returns {Frame[]}
 */
export function frames(bytes) {
  const found = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const short = bytes[at + 1] & 0x7f;
    const extra = { 126: 2, 127: 8 }[short] ?? 0;
    if (at + 2 + extra > bytes.length) break;
    const long = extra === 2 ? bytes.readUInt16BE(at + 2) : Number(extra && bytes.readBigUInt64BE(at + 2));
    const length = extra > 0 ? long : short;
    const payload = bytes.subarray(at + 2 + extra, at + 2 + extra + length);
    if (payload.length < length) break;
    found.push({ isLast: bytes[at] >= 0x80, rsv: (bytes[at] >> 4) & 7, opcode: bytes[at] & 15, payload });
    at += 2 + extra + length;
  }
  return found;
}

/** A connection that says what it is told to, byte by byte. */
export class Raw {
  /** All that has come. */
  received = Buffer.alloc(0);
  isOver = false;
  /** @type {net.Socket} */
  socket;
  /** @type {(() => void)[]} */
  #watchers = [];

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    // What a failed test leaves behind must not keep its process alive.
    socket.unref();
    socket.on('data', (part) => {
      this.received = Buffer.concat([this.received, part]);
      this.#wake();
    });
    const over = () => {
      this.isOver = true;
      this.#wake();
    };
    // A reset is an end as well.
    socket.on('error', () => {});
    socket.on('end', over);
    socket.on('close', over);
  }

  #wake() {
    for (const watch of this.#watchers.splice(0)) watch();
  }

  /** @param {number} port */
  static async connect(port) {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const raw = new Raw(socket);
    await within(new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject)), 'a connection');
    return raw;
  }

  /**
   * A connection that has been upgraded; the head of the answer is taken off what was received.
   *
   * @param {number} port
   * @param {Record<string, string | string[] | null>} [changed]
   * @param {string} [path]
   */
  static async upgraded(port, changed, path = '/chat') {
    const raw = await Raw.connect(port);
    raw.write(handshake(changed, `GET ${path} HTTP/1.1`));
    const { status, headers, length } = await raw.head();
    assert.equal(status, 101, raw.received.toString('latin1'));
    raw.received = raw.received.subarray(length);
    return Object.assign(raw, { headers });
  }

  /** @param {string | Buffer} bytes */
  write(bytes) {
    return this.socket.destroyed ? false : this.socket.write(bytes);
  }

  /**
   * Writes the same again and again, as fast as the server takes it, until it takes no more of it.
   *
   * @param {Buffer | ((count: number) => Buffer)} piece
   * @param {number} most the pieces after which it is enough
   * @returns {Promise<number>} how many bytes were written
   */
  async flood(piece, most = Infinity) {
    let written = 0;
    for (let count = 0; count < most && !this.isOver && !this.socket.destroyed; count += 1) {
      const bytes = typeof piece === 'function' ? piece(count) : piece;
      written += bytes.length;
      if (!this.write(bytes)) {
        const drained = new Promise((resolve) => this.socket.once('drain', resolve).once('close', resolve));
        await within(Promise.race([drained, this.until(() => false)]), 'the server to take or refuse what is sent');
      }
    }
    return written;
  }

  /**
   * Waits until what was received is as wanted, or the server has ended the connection.
   *
   * @param {(received: Buffer) => unknown} isWanted
   */
  async until(isWanted) {
    while (!this.isOver && !isWanted(this.received)) await new Promise((resolve) => this.#watchers.push(() => resolve(null)));
  }

  /** The head of an answer over HTTP/1.1; the status is 0 if there is none. */
  async head() {
    await within(this.until((received) => received.includes('\r\n\r\n')), 'the head of an answer');
    const length = this.received.indexOf('\r\n\r\n') + 4;
    const [line, ...lines] = this.received.subarray(0, Math.max(length - 4, 0)).toString('latin1').split('\r\n');
    const headers = Object.fromEntries(
      lines.map((header) => [header.slice(0, header.indexOf(':')).toLowerCase(), header.slice(header.indexOf(':') + 2)]),
    );
    return { status: Number(line.split(' ')[1] ?? 0), headers, length };
  }

  /** @param {number} count */
  async frames(count) {
    await within(this.until((received) => frames(received).length >= count), () => `${count} frames`);
    return frames(this.received);
  }

  /** The frames up to the end of the connection, which the server must end. */
  async closed() {
    await within(
      this.until((received) => frames(received).some(({ opcode }) => opcode === 8)),
      () => `a close frame, after ${JSON.stringify(frames(this.received))}`,
    );
    const all = frames(this.received);
    const close = all.find(({ opcode }) => opcode === 8);
    // As a client that keeps to RFC 6455 §5.5.1.
    this.write(frame(8, close?.payload.subarray(0, 2)));
    await this.over();
    return {
      code: close === undefined ? 1006 : close.payload.length < 2 ? 1005 : close.payload.readUInt16BE(0),
      reason: close?.payload.subarray(2).toString() ?? '',
      frames: all.filter(({ opcode }) => opcode !== 8),
    };
  }

  /** The end of the connection by the server. */
  async over() {
    await within(this.until(() => false), 'the server to end the connection');
    this.socket.end();
  }

  /** Ends it without a word. */
  reset() {
    // Node cannot reset what it has ended already, and would not exit any more.
    if (this.isOver) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }
}

/** A server program that an attack is aimed at. */
export class Target {
  /**
   * @param {number} port
   * @param {import('./program.js').Program} program
   * @param {string} [echo] the path of an endpoint that echoes
   */
  constructor(port, program, echo = '/chat') {
    this.port = port;
    this.echo = echo;
    this.#program = program;
  }
  /** @type {import('./program.js').Program} */
  #program;

  /** Memory in bytes: what the program has, and the most that it had. */
  memory() {
    const status = readFileSync(`/proc/${this.#program.pid}/status`, 'utf8');
    const of = (/** @type {string} */ name) => Number(status.match(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm'))?.[1]) * 1024;
    return { now: of('VmRSS'), most: of('VmHWM') };
  }

  /** The descriptors of sockets: those of files and timers come and go by themselves. */
  descriptors() {
    const folder = `/proc/${this.#program.pid}/fd`;
    const isSocket = (/** @type {string} */ name) => {
      try {
        return readlinkSync(`${folder}/${name}`).startsWith('socket:');
      } catch {
        // It was closed meanwhile.
        return false;
      }
    };
    return readdirSync(folder).filter(isSocket).length;
  }

  /**
   * Lets clients attack, while a bystander talks to the server: it is answered each time, the memory of the
   * server stays bounded, and no descriptor is left in the end.
   *
   * @template T
   * @param {() => Promise<T>} attack
   * @param {{ growth?: number }} [options] the most bytes that the server may need for it
   * @returns {Promise<T>}
   */
  async withstands(attack, { growth = GROWTH_BYTES } = {}) {
    const bystander = await Bystander.connect(this);
    try {
      const descriptors = this.descriptors();
      const before = this.memory().now;
      // The most memory counts from here on: proc(5), `clear_refs`.
      writeFileSync(`/proc/${this.#program.pid}/clear_refs`, '5');
      const result = await attack();
      await bystander.isServed();
      const grown = this.memory().most - before;
      assert.ok(grown <= growth, `the server has grown by ${(grown / MIB).toFixed(1)} MiB`);
      await eventually(
        () => this.descriptors() <= descriptors,
        () => `the server to have ${descriptors} descriptors again, and not ${this.descriptors()}`,
      );
      return result;
    } finally {
      await bystander.leave();
    }
  }
}

/** A client that talks to an echo all the time, and wants to be answered each time. */
class Bystander {
  /** The longest that an echo took, in milliseconds. */
  #longest = 0;
  #echoes = 0;
  #isLeaving = false;
  /** @type {Promise<void>} */
  #talking;

  /** @param {Socket} socket */
  constructor(socket) {
    this.#talking = this.#talk(socket);
    // It is awaited when the attack is over.
    this.#talking.catch(() => {});
  }

  /** @param {Target} target */
  static async connect({ port, echo }) {
    return new Bystander(await Socket.connect(`ws://127.0.0.1:${port}${echo}`));
  }

  /** @param {Socket} socket */
  async #talk(socket) {
    while (!this.#isLeaving) {
      const asked = performance.now();
      const text = `bystander ${this.#echoes}`;
      socket.send(text);
      // What comes first may be a welcome.
      for (let answer = ''; !answer.endsWith(text); ) answer = await socket.text();
      this.#longest = Math.max(this.#longest, performance.now() - asked);
      this.#echoes += 1;
      await pause(BYSTANDER_MS);
    }
    await socket.close();
  }

  /** Waits for an echo that was asked for from now on. */
  async isServed() {
    const before = this.#echoes;
    await Promise.race([this.#talking, eventually(() => this.#echoes > before + 1, 'an echo of the bystander')]);
    assert.ok(this.#longest < LONGEST_ECHO_MS, `the bystander waited ${this.#longest} ms for an echo`);
  }

  async leave() {
    this.#isLeaving = true;
    await this.#talking;
  }
}
