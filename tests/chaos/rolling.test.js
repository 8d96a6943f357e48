// Three nodes on a Redis, of which one after the other is stopped in order and started again, while
// something is published all the time. Everybody comes back and has everything; nobody is seen to
// come or go who is back within the grace period.
//
//   ROLLING_SOCKETS=300    how many clients there are
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Server } from '../support/server.js';
import { API_KEY, Publisher, Subscriber } from './clients.js';
import { Engine, programs } from './engine.js';
import { Truth } from './follower.js';

const SOCKETS = Number(process.env.ROLLING_SOCKETS ?? 300);
const NODES = 3;
const CHANNELS = 10;
/** The time in which a node spreads its clients over the others. */
const PATIENCE_MS = 90_000;
/** Whoever is away for longer has left for the others: the grace period of presence, less a second. */
const GRACE_MS = 14_000;

async function until(isSo, ms) {
  const end = performance.now() + ms;
  while (!isSo() && performance.now() < end) await pause(50);
  return isSo();
}

const [[name, file] = []] = Object.entries(programs());
const skip = file || process.env.NEXTRUSH_REQUIRE_SERVERS ? false : 'there is no Redis on this machine';
test(`${SOCKETS} clients of three nodes on ${name} that are restarted one after the other`, { skip }, async (t) => {
  /** @type {(() => unknown)[]} */
  const ends = [];
  try {
    const engine = await Engine.start(file);
    ends.push(() => engine.end());
    const nodes = [];
    for (let index = 0; index < NODES; index += 1) {
      const args = ['--redis', `redis://127.0.0.1:${engine.port}`, '--node', `node-${index}`];
      const server = await Server.start({ args, env: { NEXTRUSH_API_KEY: API_KEY } });
      ends.push(() => server.stop('SIGKILL'));
      nodes.push({ server, isUp: true, get host() { return server.host; } });
    }
    const truth = new Truth();
    // A balancer leads to nodes that are ready.
    const anyNode = () => {
      const up = nodes.filter(({ isUp }) => isUp);
      return up[Math.floor(Math.random() * up.length)];
    };
    const world = { truth, chance: Math.random, anyNode, isOver: false };
    const channels = Array.from({ length: CHANNELS }, (_, index) => `presence-${index}`);
    const clients = Array.from({ length: SOCKETS }, (_, index) => new Subscriber(world, `s${index}`, channels[index % CHANNELS]));
    ends.push(() => {
      world.isOver = true;
      for (const client of clients) client.cut();
    });
    for (const client of clients) {
      void client.live();
      if (Math.random() < 0.02) await pause(50);
    }
    const areReady = () => clients.every(({ ready }) => ready);
    assert.ok(await until(areReady, PATIENCE_MS), 'not all clients came');
    // Everybody was told of all that have come: what is told from here on is of the restarts.
    const versions = new Map();
    for (const channel of channels) {
      const { body } = await nodes[0].server.request('GET', `/api/v1/presence?channel=${channel}`, { token: API_KEY });
      versions.set(channel, body.version);
    }
    const areTold = () => clients.every(({ follower, version }) => version >= versions.get(follower.topic));
    assert.ok(await until(areTold, PATIENCE_MS), 'not all were told who came');
    assert.ok(clients.some(({ seen }) => seen.length > 0), 'nobody was seen to come at first');
    for (const client of clients) client.seen = [];

    let isTalking = true;
    const talks = channels.map(async (channel, index) => {
      const publisher = new Publisher(world, channel);
      for (let number = 1; isTalking; number += 1) {
        await publisher.say(`${index}/${number}`);
        await pause(500);
      }
    });
    for (const node of nodes) {
      node.isUp = false;
      const begun = performance.now();
      const theirs = clients.filter((client) => client.node === node);
      node.server.program.stop('SIGTERM').catch(() => {});
      await Promise.race([node.server.program.exited, pause(PATIENCE_MS, undefined, { ref: false })]);
      await node.server.run();
      node.isUp = true;
      assert.ok(await until(areReady, PATIENCE_MS), 'not all clients came back');
      t.diagnostic(`${theirs.length} clients left a node, which was back after ${Math.round(performance.now() - begun)} ms`);
    }
    isTalking = false;
    await Promise.all(talks);
    const tops = new Map([...truth.acknowledged].map(([topic, list]) => [topic, list.at(-1)?.offset ?? 0]));
    await until(() => clients.every(({ follower }) => follower.last >= (tops.get(follower.topic) ?? 0)), PATIENCE_MS);
    for (const { follower } of clients) follower.checkAcknowledged(false);

    const absences = clients.flatMap(({ absences }) => absences).sort((a, b) => a - b);
    const bounds = [50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, Infinity];
    const histogram = bounds.map((bound, index) => {
      const count = absences.filter((ms) => ms <= bound && ms > (bounds[index - 1] ?? 0)).length;
      return `${bound} ms: ${count}`;
    });
    t.diagnostic(`${absences.length} absences, at most ${histogram.join(', ')}`);
    t.diagnostic(`${tops.size} channels up to ${Math.max(...tops.values())}, told: ${JSON.stringify(truth.told)}`);
    assert.deepEqual(truth.violations.slice(0, 10), []);
    assert.deepEqual(truth.told, {}, 'somebody was not recovered');
    // Each names its device, and so is the same one at another node, however soon it comes there.
    const seen = new Set(clients.flatMap(({ seen }) => seen));
    const awayMs = (/** @type {string} */ line) => clients.find(({ name }) => line.startsWith(`${name} `))?.absences.map(Math.round).join('/');
    t.diagnostic(`seen meanwhile: ${[...seen].map((line) => `${line} (${awayMs(line)} ms)`).join(', ') || 'nobody'}`);
    const long = new Set(clients.filter(({ absences }) => Math.max(...absences) > GRACE_MS).map(({ name }) => name));
    const wrong = [...seen].filter((line) => !long.has(line.split(' ')[0]));
    assert.deepEqual(wrong, [], 'somebody was seen to come or go');
  } finally {
    for (const end of ends.reverse()) await end();
  }
});
