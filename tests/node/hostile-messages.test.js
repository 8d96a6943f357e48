// docs/hostile-cases.md, "Authentication, rooms, history, broker": messages that are none, and names that are
// not for whoever says them.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { LINUX_ONLY, Raw, Target, frame } from '../support/hostile.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';
import { token } from '../support/token.js';

const API_KEY = 'a key of tests, thirty-two bytes and more';
const FILE = `[[channel]]
pattern = "secret-:user"
subscribe = { user = ":user" }
history = 10
presence = true

[[channel]]
pattern = ":any"
history = 10
`;

/** @type {Server} */
let server;
/** @type {Target} */
let target;
/** @type {string} */
let folder;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nextrush-messages-'));
  const file = path.join(folder, 'nextrush.toml');
  await writeFile(file, FILE);
  server = await Server.start({ args: ['--config', file], env: { NEXTRUSH_API_KEY: API_KEY } });
  target = new Target(server.port, server.program);
});
after(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const deep = (/** @type {number} */ levels, open = '[', close = ']') => open.repeat(levels) + close.repeat(levels);
/** The rest of a message whose field is this JSON. @param {string} json */
const field = (json) => `{"type":"subscribe","channel":"news","id":"x","since":${json}}`;

/** What is no message, or none that anybody should send. @type {string[]} */
const MESSAGES = [
  '', ' ', '\0', '{', '}', '[', '"', 'null', 'true', '0', '[]', '{}', '"subscribe"', 'NaN', '{"type":', '{"type":}', "{'type':'ping'}",
  '\ufeff{"type":"ping"}', '{"type":"ping"}{"type":"ping"}', '{"type":"ping"},', '/* */{"type":"ping"}',
  '{"type":null}', '{"type":1}', '{"type":["ping"]}', '{"type":{"ping":1}}', '{"type":""}', '{"type":"__proto__"}', '{"type":"constructor"}',
  '{"type":"ping\\u0000"}', '{"type":"\\ud800"}', '{"type":"\\udc00\\ud800"}', `{"type":"${'x'.repeat(60_000)}"}`,
  '{"type":"ping","type":"subscribe"}', '{"__proto__":{"type":"ping"}}', '{"type":"ping","id":{"a":1}}', `{"type":"ping","id":"${'x'.repeat(1_000)}"}`,
  '{"type":"subscribe"}', '{"type":"subscribe","channel":null}', '{"type":"subscribe","channel":1}', '{"type":"subscribe","channel":[]}',
  '{"type":"subscribe","channel":"a","channel":"b"}', '{"type":"subscribe","channel":"\\ud800"}',
  field('1'), field('{}'), field('{"epoch":1,"offset":1}'), field('{"epoch":"x","offset":-1}'), field('{"epoch":"x","offset":1.5}'),
  field('{"epoch":"x","offset":1e400}'), field('{"epoch":"x","offset":18446744073709551616}'), field('{"epoch":"x","offset":"1"}'),
  field(`{"epoch":"${'x'.repeat(10_000)}","offset":1}`), field(deep(100)), field(deep(30_000)), field(deep(5_000, '{"a":', '}').replace(':}', ':1}')),
  deep(30_000), `[${'{"a":['.repeat(5_000)}`, `{"type":"publish","channel":"news","data":${deep(30_000)}}`, '{"type":"publish","channel":"news","data":1e999}',
  '{"type":"publish","channel":"news"}', '{"type":"presence-update","channel":"news","data":null}', '{"type":"channel-history","channel":"news","before":-1}',
  '{"type":"channel-history","channel":"news","limit":1e30}', '{"type":"presence","channel":"news","after":-1}', '{"type":"unsubscribe"}',
  '{"type":"refresh"}', '{"type":"refresh","token":1}', '{"type":"refresh","token":""}', '{"type":"response","id":"none","data":1}',
  '{"type":"chat"}', '{"type":"chat","text":1}', '{"type":"chat","text":"\\ud83d"}', '{"type":"private","targetUserId":{},"text":"x"}',
  '{"type":"private","targetUserId":1e400,"text":"x"}', '{"type":"history","before":"x"}', '{"type":"members","after":-1}', '{"type":"typing","isTyping":"yes"}',
];

test('whatever a message is, it is answered or ends its own connection', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    for (const path of ['/live', '/chat/den', '/private-chat/den', '/robust-chat/den']) {
      for (const opcode of [1, 2]) {
        const open = () => Raw.upgraded(server.port, {}, `${path}?token=${token('mallory')}`);
        let raw = await open();
        for (const message of MESSAGES) {
          const before = raw.received.length;
          raw.write(frame(opcode, message));
          // Another user's client follows at once, so that a message without an answer is seen to have none.
          raw.write(frame(9, 'read'));
          await raw.until((received) => received.subarray(before).includes('read'));
          if (raw.isOver) raw = await open();
        }
        // It is no worse off for what it has sent: it is told of what it may do, or that it has done too much.
        raw.write(frame(9, 'whole'));
        await raw.until((received) => received.includes('whole'));
        assert.ok(!raw.isOver, path);
        raw.reset();
      }
    }
  });
});

/** The answer to a message, which has an id. @param {Socket} socket @param {object} message */
async function answerTo(socket, message) {
  socket.send({ id: 'q', ...message });
  for (;;) {
    const answer = await socket.json();
    if (answer.id === 'q' || answer.type === 'subscribed' || answer.type === 'error') return answer;
  }
}

const publish = (/** @type {string} */ channel, /** @type {unknown} */ data) =>
  server.request('POST', '/api/v1/publish', { token: API_KEY, body: { channel, data } });

test('a channel that one may not read is refused in the same words whether it exists or not', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const bob = await Socket.connect(server.as('/live', 'bob'));
    assert.equal((await answerTo(bob, { type: 'subscribe', channel: 'secret-bob' })).type, 'subscribed');
    assert.equal((await publish('secret-bob', 1)).status, 200);
    const mallory = await Socket.connect(server.as('/live', 'mallory'));
    for (const message of [
      { type: 'subscribe' },
      { type: 'subscribe', since: { epoch: 'x', offset: 1 } },
      { type: 'publish', data: 1 },
      { type: 'channel-history' },
      { type: 'presence' },
      { type: 'presence-update', data: 1 },
    ]) {
      const [there, not] = [
        await answerTo(mallory, { ...message, channel: 'secret-bob' }),
        await answerTo(mallory, { ...message, channel: 'secret-zoe' }),
      ];
      assert.equal(there.type, 'error', JSON.stringify(message));
      assert.deepEqual(there, not);
      assert.ok(!JSON.stringify(there).includes('bob'));
    }
    await Promise.all([bob.close(), mallory.close()]);
  });
});

test('wildcards of brokers are names, and impossible names are refused', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const mallory = await Socket.connect(server.as('/live', 'mallory'));
    const wildcards = ['*', '>', 'wanted*', 'wanted-?', '[w]anted-1', 'wanted-#', '../wanted-1', 'wanted-1\\', '%', '{wanted-1}'];
    for (const channel of wildcards) {
      assert.equal((await answerTo(mallory, { type: 'subscribe', channel })).type, 'subscribed', channel);
    }
    for (const channel of ['', 'x'.repeat(256), 'x'.repeat(10_240), 'a\0', 'a\nb', '\u202eb', '\u200b', '\u007f']) {
      const refused = await answerTo(mallory, { type: 'subscribe', channel });
      assert.equal(refused.type, 'error', JSON.stringify(channel));
      assert.ok(['invalid-name', 'invalid-format'].includes(refused.code), refused.code);
    }
    assert.equal((await publish('wanted-1', 'not for wildcards')).status, 200);
    assert.equal((await publish('*', 'last')).status, 200);
    const { type, channel, data } = await mallory.json();
    assert.deepEqual({ type, channel, data }, { type: 'update', channel: '*', data: 'last' });
    await mallory.close();
  });
});

test('who subscribes without end has 100 channels', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const mallory = await Socket.connect(server.as('/live', 'greedy'));
    let subscribed = 0;
    const codes = new Set();
    for (let count = 0; count < 1_000; count += 1) {
      const answer = await answerTo(mallory, { type: 'subscribe', channel: `many-${count}` });
      if (answer.type === 'subscribed') subscribed += 1;
      else codes.add(answer.code);
    }
    assert.equal(subscribed, 100);
    assert.ok(codes.has('too-many-channels'), [...codes].join());
    for (const code of codes) assert.ok(['too-many-channels', 'rate-limited'].includes(code), code);
    await mallory.close();
  });
});
