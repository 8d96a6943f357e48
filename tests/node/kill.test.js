// The program with a store is killed with `kill -9` at random moments, again and again, while
// clients talk in chat rooms and others publish over HTTP. Whoever comes back has everything once
// and in order, nothing that was acknowledged is missing, no offset is given out twice, and what
// is asked for again is not done again.
//
// NEXTRUSH_KILL_ROUNDS is how often, 10 by default; NEXTRUSH_SEED repeats a run's random numbers.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { SEED, random } from '../support/chance.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';

const ROUNDS = Number(process.env.NEXTRUSH_KILL_ROUNDS ?? 10);
const API_KEY = 'a key of tests, thirty-two bytes and more';
const ROOMS = ['one', 'two'];
const SPEAKERS = 6;
const CHANNEL = 'posts';

/** What is known of a room or channel, from everybody who saw something of it. */
class Stream {
  epoch = '';
  /** @type {Map<number, string>} */
  texts = new Map();
  /** @type {Map<string, number>} */
  offsets = new Map();
  /** @type {Map<string, number>} */
  acknowledged = new Map();

  /** @param {string} epoch */
  lives(epoch) {
    this.epoch ||= epoch;
    assert.equal(epoch, this.epoch, 'the stream began anew');
  }

  /** @param {number} offset @param {string} text */
  has(offset, text) {
    assert.equal(this.texts.get(offset) ?? text, text, `offset ${offset} was given out twice`);
    assert.equal(this.offsets.get(text) ?? offset, offset, `${text} happened twice`);
    this.texts.set(offset, text);
    this.offsets.set(text, offset);
  }

  /** @param {string} text @param {{ epoch: string, offset: number }} position */
  acknowledges(text, { epoch, offset }) {
    this.lives(epoch);
    this.has(offset, text);
    this.acknowledged.set(text, offset);
  }
}

/** One who listens to a stream, and has everything in order. */
class Listener {
  offset = 0;

  /** @param {Stream} stream */
  constructor(stream) {
    this.stream = stream;
  }

  get position() {
    return this.stream.epoch && { epoch: this.stream.epoch, offset: this.offset };
  }

  /** @param {number} offset @param {string} text */
  hear(offset, text) {
    assert.equal(offset, this.offset + 1, 'something was missed, or came twice');
    this.stream.has(offset, text);
    this.offset = offset;
  }

  /** @param {{ epoch: string, recovered?: boolean, reason?: string }} answer */
  enter({ epoch, recovered, reason }) {
    const knew = this.position;
    this.stream.lives(epoch);
    if (knew) assert.equal(recovered, true, `not recovered: ${reason}`);
  }
}

/** What somebody does one after the other, each with an id of its own, until it is sure. */
class Deeds {
  #name;
  #count = 0;
  /** The last one, which is repeated after a restart, answered or not. */
  text = '';

  /** @param {string} name */
  constructor(name) {
    this.#name = name;
  }

  next() {
    this.#count += 1;
    this.text = `${this.#name}-${this.#count}`;
    return this.text;
  }

  /** What to begin with: after a restart the last one again. */
  first() {
    return this.text || this.next();
  }
}

class Speaker {
  /** @param {string} name @param {string} room @param {Stream} stream */
  constructor(name, room, stream) {
    this.name = name;
    this.room = room;
    this.listener = new Listener(stream);
    this.deeds = new Deeds(name);
  }

  /** @param {Server} server */
  async enter(server) {
    const { position } = this.listener;
    const query = position ? `&epoch=${position.epoch}&offset=${position.offset}` : '';
    this.socket = await Socket.connect(server.as(`/chat/${this.room}`, this.name) + query);
    const history = await this.socket.json();
    assert.equal(history.type, 'room-history');
    this.listener.enter(history);
    for (const { offset, text } of history.messages) this.listener.hear(offset, text);
    assert.equal(this.listener.offset, history.offset);
  }

  /** Talks until the connection breaks. @param {() => void} acknowledged */
  async talk(acknowledged) {
    const { socket, deeds, listener } = this;
    const say = (text) => socket.send({ type: 'chat', text, id: text });
    say(deeds.first());
    for (;;) {
      const event = await socket.next();
      if (event.kind === 'close') return;
      if (event.kind !== 'text') continue;
      const message = JSON.parse(event.text);
      if (message.type === 'chat-message') listener.hear(message.offset, message.text);
      if (message.type === 'error') assert.fail(event.text);
      if (message.type !== 'ack') continue;
      assert.equal(message.id, deeds.text);
      listener.stream.acknowledges(message.id, message);
      acknowledged();
      say(deeds.next());
    }
  }
}

/** Subscribed to the channel. */
class Subscriber {
  /** @param {Stream} stream */
  constructor(stream) {
    this.listener = new Listener(stream);
  }

  /** @param {Server} server */
  async enter(server) {
    this.socket = await Socket.connect(server.as('/live', 'bob'));
    const since = this.listener.position || undefined;
    this.socket.send({ type: 'subscribe', channel: CHANNEL, since });
    const answer = await this.socket.json();
    assert.equal(answer.type, 'subscribed');
    this.listener.enter(answer);
    if (!since) this.listener.offset = answer.offset;
    while (this.listener.offset < answer.offset) this.#take(await this.socket.json());
  }

  async listen() {
    for (;;) {
      const event = await this.socket.next();
      if (event.kind === 'close') return;
      if (event.kind === 'text') this.#take(JSON.parse(event.text));
    }
  }

  #take(message) {
    assert.equal(message.type, 'update');
    this.listener.hear(message.offset, message.data);
  }
}

/** Publishes to the channel over HTTP. */
class Publisher {
  /** @param {string} name @param {Stream} stream */
  constructor(name, stream) {
    this.stream = stream;
    this.deeds = new Deeds(name);
  }

  /** Publishes until the server is gone. @param {Server} server @param {() => void} acknowledged */
  async publish(server, acknowledged) {
    // A `fetch` may stay pending for ever when its connection breaks, and keeps no process alive.
    const gone = server.program.exited.then(() => undefined);
    for (let text = this.deeds.first(); ; text = this.deeds.next()) {
      const request = server
        .request('POST', '/api/v1/publish', {
          token: API_KEY,
          body: { channel: CHANNEL, data: text },
          headers: { 'idempotency-key': text },
        })
        .catch(() => gone);
      const answer = await Promise.race([request, gone]);
      if (!answer) return;
      assert.equal(answer.status, 200);
      if (this.stream.acknowledged.has(text)) assert.equal(answer.body.repeated, true);
      this.stream.acknowledges(text, answer.body);
      acknowledged();
    }
  }
}

test(`after kill -9 everything acknowledged is there, once (${ROUNDS} rounds)`, async () => {
  console.log(`NEXTRUSH_SEED=${SEED}`);
  const store = await mkdtemp(path.join(tmpdir(), 'nextrush-kill-'));
  const server = await Server.start({ args: ['--store', store], env: { NEXTRUSH_API_KEY: API_KEY } });
  try {
    const count = await killAgainAndAgain(server, random(SEED));
    console.log(`${ROUNDS} rounds, ${count} acknowledged`);
  } finally {
    await server.stop('SIGKILL');
    await rm(store, { recursive: true });
  }
});

/**
 * How much was acknowledged in all rounds.
 *
 * @param {Server} server
 * @param {() => number} chance
 */
async function killAgainAndAgain(server, chance) {
  const rooms = new Map(ROOMS.map((room) => [room, new Stream()]));
  const channel = new Stream();
  const speakers = Array.from({ length: SPEAKERS }, (_, index) => {
    const room = ROOMS[index % ROOMS.length];
    return new Speaker(`speaker-${index}`, room, rooms.get(room));
  });
  const subscriber = new Subscriber(channel);
  const publishers = ['first', 'second'].map((name) => new Publisher(name, channel));
  const enter = async () => {
    for (const client of [...speakers, subscriber]) await client.enter(server);
  };

  for (let round = 0; round < ROUNDS; round += 1) {
    await enter();
    // The moment counts from an answer on, as nothing else says how far the server is.
    let left = Math.floor(chance() * 120);
    const later = chance() * 4;
    /** @type {Promise<unknown> | undefined} */
    let killed;
    const acknowledged = () => {
      left -= 1;
      if (left <= 0) killed ??= pause(later).then(() => server.stop('SIGKILL'));
    };
    await Promise.all([
      ...speakers.map((speaker) => speaker.talk(acknowledged)),
      subscriber.listen(),
      ...publishers.map((publisher) => publisher.publish(server, acknowledged)),
    ]);
    await killed;
    // Sometimes also while it puts the store in order.
    if (chance() < 0.2) {
      const again = server.spawn();
      await pause(chance() * 50);
      await again.stop('SIGKILL');
    }
    await server.run();
  }

  await enter();
  for (const { stream, offset } of [...speakers, subscriber].map((client) => client.listener)) {
    assert.equal(offset, stream.texts.size, 'everything that anybody saw');
  }
  const streams = [...rooms.values(), channel];
  for (const stream of streams) {
    for (const [text, at] of stream.acknowledged) assert.equal(stream.texts.get(at), text);
  }
  const count = streams.reduce((sum, stream) => sum + stream.acknowledged.size, 0);
  assert.ok(count >= ROUNDS, `${count} acknowledged`);
  return count;
}
