// Three nodes on a Redis or Valkey, 200 clients on 20 topics, and faults by seed. Each publication is
// numbered by its publisher. Whatever happens: nothing that was acknowledged and kept is missing
// untold, nothing is doubled, the order is right, and no command is executed twice.
//
//   CHAOS_SEEDS=1,2,3      the schedules; default 1 and 2
//   CHAOS_CLIENTS=200      how many there are
//   CHAOS_FAULTS=6         how many faults a schedule has
//   CHAOS_ONLY=a,b         only these faults
//   CHAOS_LOG=file         what clients were told, and what the nodes logged
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Server } from '../support/server.js';
import { API_KEY, LibraryMember, LibrarySubscriber, Member, Publisher, Subscriber } from './clients.js';
import { Engine, Watched, programs } from './engine.js';
import { Truth } from './follower.js';
import { EngineLine } from './line.js';

const SEEDS = (process.env.CHAOS_SEEDS ?? '1,2').split(',').map(Number);
const CLIENTS = Number(process.env.CHAOS_CLIENTS ?? 200);
const FAULTS = Number(process.env.CHAOS_FAULTS ?? 6);
const ONLY = process.env.CHAOS_ONLY?.split(',');
const NODES = 3;
const TOPICS = 20;
/** Everything is well again after so long without a fault, in milliseconds. */
const BOUND_MS = 60_000;
/** After so long all nodes know who is there: the bound is 28 seconds. */
const PRESENCE_MS = 30_000;
/** The library of Debian's package `faketime`, if it is installed. */
const FAKETIME = readdirSync('/usr/lib')
  .map((folder) => `/usr/lib/${folder}/faketime/libfaketime.so.1`)
  .find(existsSync);

/** Numbers from 0 to 1 that a seed repeats (mulberry32). @param {number} seed */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Waits until something is so. @param {() => unknown} isSo */
async function until(isSo, ms) {
  const end = performance.now() + ms;
  while (!(await isSo()) && performance.now() < end) await pause(100);
  return isSo();
}

/** Starts a node again, as a supervisor does, until its engine is there. */
async function revive({ server }) {
  for (let tries = 0; tries < 100; tries += 1) {
    if (await server.run().then(() => true, () => false)) return;
    await pause(300);
  }
  throw new Error('a node does not start');
}

/** The faults, each with its end, and whether it may lose what was acknowledged. */
const KINDS = {
  'a node is killed': async ({ node, wait }) => {
    await node.server.stop('SIGKILL');
    await wait(500, 6_000);
    await revive(node);
  },
  'a node is stopped': async ({ node, wait }) => {
    process.kill(node.server.program.pid, 'SIGSTOP');
    await wait(2_000, 14_000);
    process.kill(node.server.program.pid, 'SIGCONT');
  },
  'a node ends in order': async ({ node }) => {
    await node.server.program.stop('SIGTERM').catch(() => node.server.stop('SIGKILL'));
    await revive(node);
  },
  'the engine is killed and comes back with its data': async ({ engine, wait }) => {
    await engine.kill();
    await wait(100, 5_000);
    await engine.run();
  },
  'the engine comes back empty': async ({ engine, wait }) => {
    await engine.kill();
    await engine.forget();
    await wait(100, 3_000);
    await engine.run();
  },
  'the engine is stopped': async ({ engine, wait }) => {
    engine.signal('SIGSTOP');
    await wait(1_000, 12_000);
    engine.signal('SIGCONT');
  },
  'the engine throws the subscriptions out': ({ engine }) => engine.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
  'the engine forgets its scripts': ({ engine }) => engine.call('SCRIPT', 'FLUSH'),
  'the engine forgets everything': ({ engine }) => engine.call('FLUSHALL'),
  'the engine is full': async ({ engine, wait }) => {
    await engine.call('CONFIG', 'SET', 'maxmemory', '1mb');
    await wait(1_000, 6_000);
    await engine.call('CONFIG', 'SET', 'maxmemory', '0');
  },
  'nothing comes back from the engine': (world) => lineIs(world, 'heldBack'),
  'a line is held': (world) => lineIs(world, 'held'),
  'a line is slow': (world) => lineIs(world, 'slow'),
  'a line is cut': (world) => lineIs(world, 'cut'),
  'a line is reset': ({ node }) => node.line.reset(),
};

/** Those of a master and a replica that a Sentinel watches. */
const WATCHED = {
  'a failover loses what was acknowledged': ({ watched, wait }) => watched.failOver(() => wait(300, 2_500)),
  'a failover loses hardly anything': ({ watched }) => watched.failOver(),
  'a node is killed': KINDS['a node is killed'],
  'the engine forgets its scripts': KINDS['the engine forgets its scripts'],
};

/** After these something that was acknowledged may be gone, which is told. */
const LOSSY = new Set(['the engine comes back empty', 'the engine forgets everything']);

async function lineIs({ node, wait }, mode) {
  node.line.mode = mode;
  await wait(500, 12_000);
  node.line.mode = 'up';
}

/**
 * @param {number} seed
 * @param {string} file the program of the engine
 * @param {(what: string) => void} say
 * @param {(() => unknown)[]} ends what is to be done at the end
 */
async function play(seed, file, say, ends, isWatched = false) {
  const chance = random(seed);
  const pick = (list) => list[Math.floor(chance() * list.length)];
  const wait = (from, to) => pause(from + chance() * (to - from));
  // What clients do comes as it comes: the seed is that of the faults.
  const whim = random(seed + 1_000_000);
  const truth = new Truth();
  const settings = ['--maxmemory-policy', 'noeviction'];
  const watched = isWatched ? await Watched.start(file, settings) : null;
  const engine = watched ? watched.master : await Engine.start(file, settings);
  ends.push(() => (watched ?? engine).end());
  const isOff = chance() < 0.3 && FAKETIME !== undefined;
  const nodes = await Promise.all(
    Array.from({ length: NODES }, async (_, index) => {
      const line = await EngineLine.lay(engine.port);
      ends.push(() => line.end());
      const clock = isOff && index === 0 && FAKETIME && { LD_PRELOAD: FAKETIME, FAKETIME: '+3600', FAKETIME_DONT_FAKE_MONOTONIC: '1' };
      const server = await Server.start({
        // Sentinels name the engines themselves, with no line between.
        args: ['--redis', watched ? watched.url : `redis://127.0.0.1:${line.port}`, '--node', `node-${index}`],
        env: { NEXTRUSH_API_KEY: API_KEY, ...clock },
      });
      ends.push(() => server.stop('SIGKILL'));
      return { line, server, get host() { return server.host; } };
    }),
  );
  if (isOff) say('the clock of node 0 is an hour ahead');
  const world = { truth, chance: whim, anyNode: () => nodes[Math.floor(whim() * nodes.length)], isOver: false };

  const rooms = Array.from({ length: TOPICS / 2 }, (_, index) => `room-${index}`);
  const channels = Array.from({ length: TOPICS / 2 }, (_, index) => (index % 2 === 0 ? `post-${index + 1_000}` : `presence-${index}`));
  const members = Array.from({ length: CLIENTS * 0.6 }, (_, index) => new (index >= rooms.length && index < TOPICS ? LibraryMember : Member)(world, `m${index}`, rooms[index % rooms.length]));
  const subscribers = Array.from({ length: CLIENTS * 0.4 }, (_, index) => new (index < 2 * channels.length ? LibrarySubscriber : Subscriber)(world, `s${index}`, channels[index % channels.length]));
  const clients = [...members, ...subscribers];
  ends.push(() => {
    world.isOver = true;
    for (const client of clients) client.cut();
  });
  for (const client of clients) void client.live();
  const areReady = () => clients.every(({ ready }) => ready);
  if (!(await until(areReady, 3 * BOUND_MS))) throw new Error('not all clients came');

  // Two of each room speak, one of them by the project's own client, and each channel has a publisher.
  let isTalking = true;
  const speakers = [...members.slice(0, TOPICS), ...channels.map((channel) => new Publisher(world, channel))];
  const talks = speakers.map(async (speaker, index) => {
    for (let number = 1; isTalking && !world.isOver; number += 1) {
      await speaker.say(`${seed}/${index}/${number}`);
      await pause(200 + whim() * 800);
    }
  });

  const kinds = Object.keys(watched ? WATCHED : KINDS).filter((kind) => ONLY?.includes(kind) ?? true);
  let isLossy = isWatched;
  for (let number = 0; number < FAULTS; number += 1) {
    await wait(500, 3_000);
    // Sometimes two at a time.
    const chosen = chance() < 0.25 ? [pick(kinds), pick(kinds)] : [pick(kinds)];
    if (chosen.every((kind) => !/^(a node|a line|nothing)/.test(kind))) chosen.length = 1;
    const at = nodes.map((_, index) => index);
    await Promise.all(
      chosen.map(async (kind) => {
        const [index] = at.splice(Math.floor(chance() * at.length), 1);
        const from = performance.now();
        isLossy ||= LOSSY.has(kind);
        const times = random(Math.floor(chance() * 2 ** 32));
        await { ...KINDS, ...WATCHED }[kind]({ node: nodes[index], engine: watched?.master ?? engine, watched, wait: (from, to) => pause(from + times() * (to - from)) });
        say(`${((from - truth.begun) / 1_000).toFixed(1)} s, node ${index}: ${kind}, for ${Math.round(performance.now() - from)} ms`);
      }),
    );
  }

  isTalking = false;
  const calm = performance.now();
  const talked = Promise.all(talks).then(() => true);
  if (!(await Promise.race([talked, pause(BOUND_MS, undefined, { ref: false })]))) truth.violates('somebody still waits for an answer');
  await until(areReady, BOUND_MS);
  // The last word on each topic, which everybody hears.
  const last = [...members.slice(0, TOPICS / 2), ...channels.map((channel) => new Publisher(world, channel))];
  const tops = () => new Map([...truth.acknowledged].map(([topic, list]) => [topic, list.at(-1)]));
  const isWhole = ({ follower, ready }) => ready && follower.last >= (tops().get(follower.topic)?.offset ?? 0);
  for (let round = 1; ; round += 1) {
    const said = last.map((speaker, index) => speaker.say(`${seed}/last ${round}/${index}`));
    if (!(await Promise.race([Promise.all(said).then(() => true), pause(BOUND_MS, undefined, { ref: false })]))) truth.violates('a last word finds no answer');
    if (await until(() => clients.every(isWhole), BOUND_MS)) break;
    // A failover that no schedule asked for may have lost the last words as well.
    if (round < 3 && (await watched?.hasMoved())) {
      say('the Sentinel has failed over by itself');
      continue;
    }
    for (const { name, ready, follower, node } of clients.filter((client) => !isWhole(client))) {
      const top = tops().get(follower.topic);
      truth.violates(`${name} of ${follower.topic} on ${node.host} is ${ready ? '' : 'not '}there, at ${follower.epoch}/${follower.last} of ${top?.epoch}/${top?.offset}`);
    }
    break;
  }
  say(`all is well ${Math.round(performance.now() - calm)} ms after the last fault`);

  for (const topic of [...rooms, ...channels]) {
    const followers = clients.map(({ follower }) => follower).filter((follower) => follower.topic === topic);
    for (const node of nodes) {
      const history = await (channels.includes(topic) ? historyOfChannel(node, topic) : historyOfRoom(world, node, topic));
      const texts = history.items.map(([, text]) => text);
      if (new Set(texts).size !== texts.length) truth.violates(`the history of ${topic} holds something twice`);
      for (const follower of followers) follower.check(history);
    }
    for (const follower of followers) follower.checkAcknowledged(isLossy);
  }
  for (const topic of [...rooms, ...channels.filter((channel) => channel.startsWith('presence'))]) {
    const here = clients.filter(({ follower }) => follower.topic === topic).map(({ name }) => name).sort().join();
    for (const node of nodes) {
      let seen = '';
      const isSeen = async () => {
        const users = await (rooms.includes(topic) ? usersOfRoom(world, node, topic) : usersOfChannel(node, topic));
        seen = users.filter((user) => user !== VISITOR).sort().join();
        return seen === here;
      };
      if (!(await until(isSeen, PRESENCE_MS))) truth.violates(`in ${topic} on ${node.host} are ${seen} and not ${here}`);
    }
  }
  const count = [...truth.acknowledged.values()].reduce((sum, list) => sum + list.length, 0);
  say(`${count} acknowledged, ${clients.reduce((sum, { came }) => sum + came, 0)} connections, told: ${JSON.stringify(truth.told)}`);
  if (!isLossy) for (const how of Object.keys(truth.told)) if (how !== 'renewed' && !how.includes('history')) truth.violates(`nothing was lost, and somebody was told: ${how}`);

  if (process.env.CHAOS_LOG) await writeFile(process.env.CHAOS_LOG, [...truth.log, ...nodes.map(({ server }) => server.program.stdout + server.program.stderr)].join('\n'));
  return truth.violations;
}

/** @param {{ server: Server }} node @param {string} channel */
async function historyOfChannel({ server }, channel) {
  const { body } = await server.request('GET', `/api/v1/history?channel=${channel}&limit=1000`, { token: API_KEY });
  return { ...body, items: (body.publications ?? []).map(({ offset, data }) => [offset, data]) };
}

/** The history as somebody gets it who comes for the first time. */
async function historyOfRoom(world, node, room) {
  const { follower } = await visit(world, node, room);
  return { epoch: follower.epoch, offset: follower.last, items: [...follower.heard] };
}

/** Who is in a room, once for each socket. */
async function usersOfRoom(world, node, room) {
  const { users } = await visit(world, node, room);
  return users.map(({ id }) => id);
}

/** Who is in a channel, once for each device. @param {{ server: Server }} node @param {string} channel */
async function usersOfChannel({ server }, channel) {
  const { body } = await server.request('GET', `/api/v1/presence?channel=${channel}`, { token: API_KEY });
  return (body.members ?? []).flatMap(({ user, devices }) => devices.map(() => user.id));
}

const VISITOR = 'visitor';

/** Comes to a room, and goes again. */
async function visit(world, node, room) {
  const visitor = new Member({ ...world, isOver: false, anyNode: () => node }, VISITOR, room);
  const lives = visitor.live();
  if (!(await until(() => visitor.ready, BOUND_MS))) world.truth.violates(`nobody can enter ${room}`);
  visitor.world.isOver = true;
  visitor.close();
  await lives;
  return visitor;
}

const found = Object.entries(programs());
for (const [seed, isWatched] of SEEDS.flatMap((seed) => [/** @type {const} */ ([seed, false]), /** @type {const} */ ([seed, true])])) {
  // The seed also chooses the program, so that a schedule is the same when it is run alone.
  const [name, file] = found[(seed - 1) % found.length] ?? [];
  const skip = file || process.env.NEXTRUSH_REQUIRE_SERVERS ? false : 'there is no Redis on this machine';
  const where = isWatched ? `${name}, a replica and a Sentinel` : name;
  test(`three nodes on ${where}, by seed ${seed}`, { skip }, async (t) => {
    /** @type {(() => unknown)[]} */
    const ends = [];
    try {
      const violations = await play(seed, file, (what) => t.diagnostic(what), ends, isWatched);
      assert.deepEqual(violations.slice(0, 20), []);
    } finally {
      for (const end of ends.reverse()) await end();
    }
  });
}
