// A store whose disk is full: whoever wants to publish is told so, nothing that was acknowledged
// is lost, reading goes on, and all is well again once there is room.
//
// A limit on the size of files stands for the full disk, as that takes no privileges. It is set
// from outside, with `prlimit` of util-linux.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';

const API_KEY = 'a key of tests, thirty-two bytes and more';
const CHANNEL = 'posts';
const LINUX_ONLY = { skip: process.platform !== 'linux' && 'prlimit is of Linux' };

/** @type {string} */
let store;
/** @type {Server} */
let server;
before(async () => {
  store = await mkdtemp(path.join(tmpdir(), 'nextrush-full-'));
  server = await Server.start({
    args: ['--store', store],
    env: { NEXTRUSH_API_KEY: API_KEY },
    // What is too large is to be an error and no signal.
    through: ['sh', '-c', `trap '' XFSZ; exec "$0" "$@"`],
  });
});
after(async () => {
  await server.stop('SIGKILL');
  await rm(store, { recursive: true });
});

/** @param {string} bytes */
function limitFiles(bytes) {
  execFileSync('prlimit', ['--pid', String(server.program.pid), `--fsize=${bytes}:unlimited`]);
}

const join = async (name) => {
  const socket = await Socket.connect(server.as('/chat/room', name));
  return { socket, history: await socket.json() };
};

/**
 * What is answered to a chat message.
 *
 * @param {Socket} socket
 * @param {string} text
 */
async function say(socket, text) {
  socket.send({ type: 'chat', text, id: text.slice(0, 64) });
  for (;;) {
    const message = await socket.json();
    if (message.id === text.slice(0, 64)) return message;
  }
}

/** @param {string} data */
const publish = (data) =>
  server.request('POST', '/api/v1/publish', {
    token: API_KEY,
    body: { channel: CHANNEL, data },
    headers: { 'idempotency-key': data },
  });

async function published() {
  const { status, body } = await server.request('GET', `/api/v1/history?channel=${CHANNEL}`, { token: API_KEY });
  assert.equal(status, 200);
  return body.publications.map(({ offset, data }) => [offset, data]);
}

test('on a full disk publishing fails, and nothing else', LINUX_ONLY, async () => {
  const { socket: ada } = await join('ada');
  const texts = Array.from({ length: 10 }, (_, index) => `${index} ${'x'.repeat(2000)}`);
  for (const [index, text] of texts.entries()) {
    const { type, offset } = await say(ada, text);
    assert.deepEqual([type, offset], ['ack', index + 1]);
  }
  const first = await publish('first');
  assert.deepEqual([first.status, first.body.offset], [200, 1]);

  limitFiles('4096');
  for (const text of ['not stored', 'not stored either']) {
    const { type, code } = await say(ada, text);
    assert.deepEqual([type, code], ['error', 'not-stored']);
  }
  const { status, body } = await publish('second');
  assert.equal(status, 507, JSON.stringify(body));
  const { socket: bob, history } = await join('bob');
  assert.deepEqual(history.messages.map(({ text }) => text), texts);
  assert.deepEqual(await published(), [[1, 'first']]);

  limitFiles('unlimited');
  // The disk is tried again after a second.
  let second;
  do second = await publish('second');
  while (second.status === 507);
  assert.deepEqual([second.status, second.body.offset], [200, 2]);
  // Of what failed it was open whether it happened; asked for again, it has happened once.
  const { type } = await say(ada, 'not stored');
  assert.equal(type, 'ack');
  const { type: last, offset: top } = await say(ada, 'last');
  assert.equal(last, 'ack');
  const heard = [];
  while (heard.at(-1)?.offset !== top) {
    const message = await bob.json();
    if (message.type === 'chat-message') heard.push(message);
  }
  assert.deepEqual(
    heard.map(({ offset }) => offset),
    Array.from({ length: top - 10 }, (_, index) => 11 + index),
  );
  assert.equal(heard.filter(({ text }) => text === 'not stored').length, 1);

  await server.stop('SIGKILL');
  await server.run();
  const { history: kept } = await join('ada');
  const all = [...texts, ...heard.map(({ text }) => text)];
  assert.deepEqual(kept.messages.map(({ text }) => text), all);
  assert.deepEqual(await published(), [[1, 'first'], [2, 'second']]);
});
