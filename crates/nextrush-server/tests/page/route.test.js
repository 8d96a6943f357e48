import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRoute, parseRoute, roomName } from '../../page/route.js';

test('an address leads to its view', () => {
  assert.deepEqual(parseRoute('#/chat/lobby'), { view: 'chat', room: 'lobby' });
  assert.deepEqual(parseRoute('#/live'), { view: 'live', post: null });
  assert.deepEqual(parseRoute('#/live/12'), { view: 'live', post: '12' });
});

test('an address of nothing leads nowhere', () => {
  for (const hash of ['', '#', '#main', '#/chat', '#/chat/', '#/chat/%', '#/chat/..', '#/chat/%00']) {
    assert.equal(parseRoute(hash), null, hash);
  }
});

test('a room keeps its name through an address', () => {
  for (const room of ['lobby', 'release team', 'a/b', '50 %', 'größe', '會議室', '?x=1&y#z']) {
    assert.deepEqual(parseRoute(formatRoute({ view: 'chat', room })), { view: 'chat', room });
  }
});

test('a typed room name is trimmed and loses its number sign', () => {
  assert.equal(roomName('  # design '), 'design');
  assert.equal(roomName('#design'), 'design');
});

test('a room name that the server refuses is refused before', () => {
  for (const name of ['', '   ', '#', '.', '..', 'a\u0000b', 'a\tb', 'a\u2800', 'a\ufe0f', '\ufe0f', '1\ufe0f', '葛\u{e0100}', 'a\u200bb', '\u202ea', 'x'.repeat(256), 'ü'.repeat(128)]) {
    assert.equal(roomName(name), null, JSON.stringify(name));
  }
  assert.equal(roomName('ü'.repeat(127)), 'ü'.repeat(127));
});

test('the inspector has an address for each of its parts', () => {
  assert.deepEqual(parseRoute('#/inspect'), { view: 'inspect', section: 'connections', channel: null });
  assert.deepEqual(parseRoute('#/inspect/rooms'), { view: 'inspect', section: 'rooms', channel: null });
  assert.equal(parseRoute('#/inspect/secrets'), null);
  for (const channel of ['posts', 'a/b', 'größe 50 %', null]) {
    const route = { view: 'inspect', section: 'tail', channel };
    assert.deepEqual(parseRoute(formatRoute(route)), route);
  }
});

test('a channel of other live updates than the first has their name in its address', () => {
  const route = { view: 'inspect', section: 'tail', channel: 'a/b?c', live: 'or ders' };
  assert.equal(formatRoute(route), '#/inspect/tail/a%2Fb%3Fc?live=or%20ders');
  assert.deepEqual(parseRoute(formatRoute(route)), route);
  assert.deepEqual(parseRoute('#/inspect/tail/a?live='), { view: 'inspect', section: 'tail', channel: 'a' });
});
