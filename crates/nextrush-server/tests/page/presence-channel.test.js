import assert from 'node:assert/strict';
import { test } from 'node:test';
import { presenceChannel } from '../../page/presence-channel.js';
import { roomName } from '../../page/route.js';

const bytes = (text) => new TextEncoder().encode(text).length;

test('a room with a short name has a channel of that name', () => {
  assert.equal(presenceChannel('lobby'), 'presence-lobby');
  assert.equal(presenceChannel('a/b c'), 'presence-a%2Fb%20c');
});

const LONG = ['漢'.repeat(30), '漢'.repeat(80), '漢'.repeat(85), '😀'.repeat(63), '/'.repeat(255), 'x'.repeat(255), `${'x'.repeat(254)}y`, `${'漢'.repeat(84)}字`];
for (const room of LONG) {
  test(`the room ${room.slice(0, 4)}… of ${bytes(room)} bytes has a channel that the server takes`, () => {
    assert.equal(roomName(room), room, 'the server takes the room');
    const channel = presenceChannel(room);
    assert.ok(bytes(channel) <= 255, `${bytes(channel)} bytes`);
    assert.match(channel, /^presence-./);
  });
}

test('no two rooms share a channel', () => {
  const rooms = [...LONG, '=', '+', encodeURIComponent('漢'.repeat(27)), '漢'.repeat(27), `=${'漢'.repeat(30)}`, `+${'漢'.repeat(30)}`];
  assert.equal(new Set(rooms.map(presenceChannel)).size, rooms.length);
});
