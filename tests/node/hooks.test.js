// The program with a backend in another language: one in Node that checks signatures as the guide shows it,
// and that is killed and stopped.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Program, ROOT } from '../support/program.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';

const SECRET = 'the key of hooks, also of 32 bytes or more';

/** @type {string} */
let directory;
before(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'nextrush-hooks-'));
  for (const name of ['verify.mjs', 'verify.py']) writeFileSync(path.join(directory, name), snippet(name));
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** The code in the guide of this name. @param {string} name */
function snippet(name) {
  const page = readFileSync(path.join(ROOT, 'docs/guide/src/http-hooks.md'), 'utf8');
  const [, code] = page.split(`<!-- snippet: ${name} -->`)[1].split(/```\w*\n/);
  return code.replace(/\n```[^]*$/, '\n');
}

/** @param {number} [port] */
async function startBackend(port = 0) {
  const verify = pathToFileURL(path.join(directory, 'verify.mjs')).href;
  const script = path.join(ROOT, 'tests/support/backend.js');
  const program = new Program(process.execPath, [script, verify], { HOOK_SECRET: SECRET, PORT: String(port) });
  const [, actual] = await program.line(/^listening on port (\d+)$/);
  return { program, port: Number(actual) };
}

/** A server that asks a backend everything. @param {number} port @param {string} [timeout] */
async function startServer(port, timeout = '30s') {
  const config = path.join(directory, `${port}.toml`);
  writeFileSync(config, `
[[channel]]
pattern = "board-:id"
hooks = ["subscribe", "state", "publish"]

[[channel]]
pattern = "inbox-:user"
hooks = ["subscribe"]

[[channel]]
pattern = "open"
publish = "any"
`);
  const hooks = ['connect', 'subscribe', 'publish', 'request'];
  const urls = hooks.flatMap((hook) => [`--hook-${hook}`, `http://127.0.0.1:${port}/hooks/${hook}`]);
  const args = ['--config', config, ...urls, '--hook-secret', SECRET, '--hook-timeout', timeout];
  return Server.start({ args });
}

/** @param {Server} server @param {string} name */
function connect(server, name) {
  return Socket.connect(server.ws('/live'), { headers: { cookie: `session=${name}` } });
}

/** The next message of a type. @param {Socket} socket @param {string} type */
async function next(socket, type) {
  for (;;) {
    const message = await socket.json();
    if (message.type === type) return message;
  }
}

test('a backend in another language says who may do what', async () => {
  const { program, port } = await startBackend();
  const server = await startServer(port);
  try {
    const ada = await connect(server, 'ada');
    const joined = await next(ada, 'subscribed');
    assert.equal(joined.channel, 'inbox-ada');
    assert.equal(joined.joined, true);

    ada.send({ type: 'subscribe', channel: 'inbox-bob', id: '1' });
    const refused = await next(ada, 'error');
    assert.equal(refused.code, 'not-yours');
    assert.equal(refused.message, 'inbox-bob is not yours');

    ada.send({ type: 'subscribe', channel: 'board-7', id: '2' });
    const subscribed = await next(ada, 'subscribed');
    assert.deepEqual(subscribed.data, { cards: ['board-7'] });

    ada.send({ type: 'publish', channel: 'board-7', data: { text: 'hello' }, id: '3' });
    const update = await next(ada, 'update');
    assert.deepEqual(update.data, { text: 'hello', by: 'ada' });
    ada.send({ type: 'publish', channel: 'board-7', data: { text: 'bad' }, id: '4' });
    assert.equal((await next(ada, 'error')).code, 'bad-word');

    ada.send({ type: 'add', id: '5', a: 1, b: 2 });
    assert.deepEqual(await next(ada, 'reply'), { type: 'reply', id: '5', data: 3 });
    await ada.close();

    const nobody = await Socket.connect(server.ws('/live'));
    assert.equal((await nobody.json()).code, 'no-session');
    assert.equal((await nobody.closed()).code, 1008);
  } finally {
    await server.stop();
    await program.stop('SIGKILL');
  }
});

test('a backend that was killed lets nobody in, and everybody when it is back', async () => {
  const { program, port } = await startBackend();
  const server = await startServer(port);
  const bystander = await connect(server, 'bob');
  await next(bystander, 'subscribed');
  bystander.send({ type: 'subscribe', channel: 'open', id: '1' });
  await next(bystander, 'subscribed');
  const ada = await connect(server, 'ada');
  await next(ada, 'subscribed');
  try {
    await program.stop('SIGKILL');
    for (const message of [
      { type: 'subscribe', channel: 'board-7', id: '2' },
      { type: 'publish', channel: 'board-7', data: { text: 'hello' }, id: '3' },
      { type: 'add', id: '4', a: 1, b: 2 },
    ]) {
      ada.send(message);
      const { code, retryAfterMs, id } = await next(ada, 'error');
      assert.deepEqual({ code, id }, { code: 'unavailable', id: message.id });
      assert.ok(retryAfterMs > 0);
    }
    const eve = await connect(server, 'eve');
    const { code, retryAfterMs } = await eve.json();
    assert.equal(code, 'unavailable');
    assert.ok(retryAfterMs > 0);
    assert.equal((await eve.closed()).code, 1013);

    // Who was in is in, and channels without a hook go on.
    ada.send({ type: 'publish', channel: 'open', data: 1 });
    assert.equal((await next(bystander, 'update')).data, 1);

    const again = await startBackend(port);
    ada.send({ type: 'add', id: '4', a: 1, b: 2 });
    assert.equal((await next(ada, 'reply')).data, 3);
    await again.program.stop('SIGKILL');
  } finally {
    await server.stop();
  }
});

test('a backend that hangs refuses in time and holds up nobody else', async () => {
  const { program, port } = await startBackend();
  const server = await startServer(port, '1s');
  try {
    const [ada, bob] = await Promise.all(['ada', 'bob'].map((name) => connect(server, name)));
    for (const socket of [ada, bob]) await next(socket, 'subscribed');
    bob.send({ type: 'subscribe', channel: 'open', id: '1' });
    await next(bob, 'subscribed');
    process.kill(/** @type {number} */ (program.pid), 'SIGSTOP');
    ada.send({ type: 'subscribe', channel: 'board-7', id: '2' });
    bob.send({ type: 'publish', channel: 'open', data: 'meanwhile' });
    assert.equal((await next(bob, 'update')).data, 'meanwhile');
    const { code, retryAfterMs } = await next(ada, 'error');
    assert.equal(code, 'unavailable');
    assert.ok(retryAfterMs > 0);
    // It may have been done.
    ada.send({ type: 'add', id: '3', a: 1, b: 2 });
    assert.equal((await next(ada, 'error')).code, 'in-doubt');
    process.kill(/** @type {number} */ (program.pid), 'SIGCONT');
    ada.send({ type: 'add', id: '4', a: 1, b: 2 });
    assert.equal((await next(ada, 'reply')).data, 3);
  } finally {
    await server.stop();
    await program.stop('SIGKILL');
  }
});

/** @param {string} body @param {number} at @param {string} [secret] */
function signature(body, at, secret = SECRET) {
  return `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`;
}

test('the code of the guide refuses calls that are not signed, changed or old, in Node and in Python', async () => {
  const { isSigned } = await import(pathToFileURL(path.join(directory, 'verify.mjs')).href);
  const now = 1_700_000_000;
  const body = '{"type":"connect","query":"é"}';
  const cases = [
    [signature(body, now), body, true],
    [signature(body, now - 299), body, true],
    [signature(body, now - 301), body, false],
    [signature(body, now + 301), body, false],
    [signature(body, now), `${body} `, false],
    [signature(body, now, 'another key, also of 32 bytes or more'), body, false],
    [signature(body, now - 301).replace(String(now - 301), String(now)), body, false],
    ['', body, false],
    [`t=${now}`, body, false],
    [`t=${now},v1=abc`, body, false],
  ];
  const python = `
import json, sys
sys.path.insert(0, sys.argv[1])
from verify import is_signed
secret, now, cases = json.load(sys.stdin)
print(json.dumps([is_signed(header, body.encode(), secret, now) for header, body, _ in cases]))
`;
  const input = JSON.stringify([SECRET, now, cases]);
  const said = execFileSync('python3', ['-B', '-c', python, directory], { input, encoding: 'utf8' });
  const inPython = JSON.parse(said);
  for (const [number, [header, text, expected]] of cases.entries()) {
    assert.equal(isSigned(header, Buffer.from(String(text)), SECRET, now), expected, `Node: ${header}`);
    assert.equal(inPython[number], expected, `Python: ${header}`);
  }
});
