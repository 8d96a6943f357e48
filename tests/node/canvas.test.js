// Bytes between the project's own client and a program (`examples/canvas.rs`), live and in its history.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { LiveClient } from '../../clients/javascript/src/index.js';
import { Inbox, within } from '../support/patience.js';
import { Program, built } from '../support/program.js';

/** @type {Program} */
let program;
let server = '';
before(async () => {
  program = new Program(built('examples', 'canvas'), ['0']);
  const [, port] = await program.line(/^listening on port (\d+)$/);
  server = `ws://127.0.0.1:${port}`;
});
after(() => program.stop());

async function enter() {
  const live = new LiveClient(null, { server, WebSocket });
  const canvas = live.subscribe('canvas');
  /** @type {Inbox<any>} */
  const states = new Inbox();
  /** @type {Inbox<any>} */
  const updates = new Inbox();
  canvas.on('state', (state) => states.put(state));
  canvas.on('update', (update) => updates.put(update));
  live.connect();
  assert.equal(await states.take('a subscription'), 'subscribed');
  return { live, canvas, updates };
}

test('what one draws as bytes another sees as bytes, now or later', async () => {
  const ada = await enter();
  const bob = await enter();
  const strokes = [new Uint8Array([0, 255, 127]), new Uint8Array([1, 2, 3]), new Uint8Array([255, 254, 128])];
  for (const stroke of strokes) {
    const { offset } = await within(ada.canvas.publish(stroke), 'an answer');
    const update = await bob.updates.take('a stroke');
    assert.deepEqual([update.data, update.offset], [stroke, offset]);
  }
  const refusal = await within(ada.canvas.publish('no bytes').catch((error) => error.refusal), 'a refusal');
  assert.equal(refusal, 'no-stroke');

  const eve = await enter();
  const newest = await within(eve.canvas.history({ limit: 2 }), 'a page');
  assert.deepEqual(newest.publications.map(({ data }) => data), strokes.slice(1));
  const rest = await within(eve.canvas.history({ before: newest.next, limit: 2 }), 'a page');
  assert.deepEqual([newest.more, rest.more], [true, false]);
  assert.deepEqual(rest.publications.map(({ data }) => data), strokes.slice(0, 1));
  assert.equal(rest.epoch, eve.canvas.position?.epoch);
  const none = await within(eve.live.history('other').catch((error) => error.refusal), 'a refusal');
  assert.equal(none, 'no-history');
  for (const { live } of [ada, bob, eve]) live.close();
});
