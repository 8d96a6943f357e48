import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ChatClient, LiveClient, Presence } from '../src/index.js';
import { SizeLimit } from '../src/size-limit.js';
import { ContractServer } from '../testing/contract-server.js';
import { linkedWorld } from '../testing/linked-world.js';
import { record, settled } from './kit/world.js';

const LIMIT = 65_536;

describe('the limit of a server', () => {
  test('counts bytes of UTF-8', () => {
    const limit = new SizeLimit();
    limit.told(1_000);
    for (const [text, fits] of [
      ['a'.repeat(1_000), true],
      ['a'.repeat(1_001), false],
      ['é'.repeat(500), true],
      ['é'.repeat(501), false],
      ['漢'.repeat(333), true],
      ['漢'.repeat(334), false],
      ['😀'.repeat(250), true],
      ['😀'.repeat(251), false],
    ]) {
      assert.equal(limit.fits(text), fits, `${text[0]} ${text.length}`);
    }
  });

  test('that nobody knows lets everything through, until something was too long', () => {
    const limit = new SizeLimit();
    assert.ok(limit.fits('a'.repeat(10_000_000)));
    limit.sent('a'.repeat(2_000));
    limit.sent('漢'.repeat(1_000));
    limit.sent('a'.repeat(2_999));
    limit.exceeded();
    assert.ok(limit.fits('a'.repeat(2_999)));
    assert.ok(!limit.fits('漢'.repeat(1_000)));
    limit.ended();
    limit.exceeded();
    assert.ok(limit.fits('a'.repeat(2_999)), 'a connection on which nothing long was sent teaches nothing');
  });

  for (const told of [0, -1, NaN, 'much', null, undefined, {}, 100]) {
    test(`is not ${String(told)}`, () => {
      const limit = new SizeLimit();
      limit.told(told);
      assert.ok(limit.fits('a'.repeat(10_000)));
    });
  }
});

/** A server with a limit, which it tells or not, and clients of it. */
function setting(old) {
  const w = linkedWorld(new ContractServer({ old, limit: LIMIT }));
  const rest = async () => {
    for (let i = 0; i < 60; i += 1) {
      w.settle();
      await settled();
      w.clock.advance(1_000);
    }
    w.settle();
    await settled();
  };
  return { w, rest };
}

for (const old of [false, true]) {
  const which = old ? 'of a server that does not tell its limit' : 'of a server that tells its limit';

  test(`a message over the limit ${which} is refused, and everything else goes on`, async () => {
    const { w, rest } = setting(old);
    const chat = new ChatClient('hall', 'ada', w.options);
    const bob = new ChatClient('hall', 'bob', w.options);
    for (const client of [chat, bob]) client.handleMessage = () => {};
    const joins = record(bob, 'user-joined');
    bob.connect();
    w.settle();
    chat.connect();
    w.settle();
    const codes = [];
    for (const text of ['before', 'x'.repeat(70_000), '漢'.repeat(30_000), 'behind']) {
      chat.say(text).then(() => codes.push('said'), ({ code }) => codes.push(code));
    }
    await settled();
    if (!old) assert.deepEqual(codes, ['too-large', 'too-large'], 'at once');
    await rest();
    assert.deepEqual(codes.sort(), ['said', 'said', 'too-large', 'too-large']);
    assert.equal(chat.state, 'connected');
    const expected = old ? 3 : 1;
    assert.ok(joins.length <= expected, `the room saw ${joins.length} joins`);
    const faults = record(chat, 'fault');
    assert.equal(chat.sendMessage('x'.repeat(80_000)), false);
    assert.deepEqual(faults.map(({ code }) => code), ['too-large']);
    await rest();
    assert.ok(joins.length <= expected);
  });

  test(`presence data over the limit ${which} is refused, and not repeated`, async () => {
    const { w, rest } = setting(old);
    const live = new LiveClient('ada', w.options);
    const presence = new Presence(live, 'c');
    const refusals = record(presence, 'refused');
    live.connect();
    await rest();
    presence.update('x'.repeat(70_000));
    await rest();
    assert.deepEqual(refusals.map(({ code }) => code), ['too-large']);
    assert.equal(live.state, 'connected');
    const { length } = w.links;
    w.links.at(-1).break();
    await rest();
    assert.equal(w.links.length, length + 1);
    assert.equal(refusals.length, 1);
  });

  test(`a channel whose name is over the limit ${which} is refused, and the others go on`, async () => {
    const { w, rest } = setting(old);
    const live = new LiveClient('ada', w.options);
    live.connect();
    await rest();
    const long = live.subscribe('x'.repeat(70_000));
    const news = live.subscribe('news');
    const refusals = record(long, 'refused');
    await rest();
    assert.equal(news.state, 'subscribed');
    assert.equal(long.state, 'refused');
    if (!old) assert.equal(w.links.length, 1);
    const { length } = w.links;
    await rest();
    assert.equal(w.links.length, length, 'the connection stays');
    assert.ok(refusals.every(({ code }) => code === 'too-large'));
    long.unsubscribe();
    await rest();
    assert.equal(w.links.length, length);
  });
}

test('a channel over the limit that is asked for as the connection opens ends one connection, and no second', async () => {
  const { w, rest } = setting(true);
  const live = new LiveClient('ada', w.options);
  const long = live.subscribe('x'.repeat(70_000));
  const news = live.subscribe('news');
  live.connect();
  await rest();
  assert.deepEqual([long.state, news.state, live.state], ['refused', 'subscribed', 'connected']);
  assert.equal(w.links.length, 2);
});

test('what waits for a connection and is over the limit is refused as soon as that is known', async () => {
  const { w, rest } = setting(false);
  const chat = new ChatClient('hall', 'ada', w.options);
  chat.handleMessage = () => {};
  chat.connect();
  w.settle();
  w.network.dispatchEvent(new Event('offline'));
  let code;
  chat.say('x'.repeat(70_000)).catch((error) => ({ code } = error));
  await settled();
  assert.equal(code, 'too-large');
  await rest();
});

test('data that the server finds too large is not told again', async () => {
  const { w, rest } = setting(false);
  const live = new LiveClient('ada', w.options);
  const presence = new Presence(live, 'c');
  const refusals = record(presence, 'refused');
  live.connect();
  await rest();
  presence.update('x'.repeat(5_000));
  await rest();
  assert.deepEqual(refusals.map(({ code, refusal }) => [code, refusal]), [['refused', 'too-large']]);
  w.links.at(-1).break();
  await rest();
  assert.equal(refusals.length, 1);
});
