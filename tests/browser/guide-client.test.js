// The guide's own client, unchanged, in a real browser. It connects to `localhost:3000`, which the
// browser is told to find at the server's port.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { launch } from '../support/browser.js';
import { GUIDE_CLIENT } from '../support/guide-client.js';
import { Inbox, PATIENCE_MS, within } from '../support/patience.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';
import { token, user } from '../support/token.js';

const PAGE = `<!doctype html>
<title>The guide's client</title>
<input id="messageInput">
<button id="sendButton">Send</button>
<script>${await readFile(GUIDE_CLIENT, 'utf8')}</script>`;

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  server = await Server.start();
  browser = await launch(`--host-resolver-rules=MAP localhost:3000 ${server.host}`);
});
after(async () => {
  await browser?.close();
  await server.stop();
});

/** A page with the client, whose placeholder token is refused at once. */
async function open() {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  /** @type {Inbox<{ kind: string, text: string }>} */
  const log = new Inbox();
  page.on('console', (message) => log.put({ kind: message.type(), text: message.text() }));
  page.on('pageerror', (error) => log.put({ kind: 'uncaught', text: String(error) }));
  // In a page that the server itself has sent: browsers do not let one of unknown origin reach
  // into the local network.
  await page.goto('http://localhost:3000/healthz');
  await page.setContent(PAGE);
  const logged = async (/** @type {string} */ line) => {
    const { kind } = await log.find(({ kind, text }) => {
      assert.notEqual(kind, 'uncaught', text);
      return text === line;
    }, `the log line "${line}"`);
    return kind;
  };
  const say = async (/** @type {string} */ text) => {
    await page.locator('#messageInput').fill(text);
    await page.locator('#sendButton').click();
  };
  return { page, logged, say };
}

/**
 * A page whose client is in the room with a good token.
 *
 * @param {string} name
 */
async function join(name) {
  const opened = await open();
  const { page, logged, say } = opened;
  await page.evaluate((good) => {
    // @ts-ignore The guide's script has made it.
    chatClient.token = good;
  }, token(name));
  await logged('Reconnecting... (1/5)');
  await logged('Connected to chat');
  // An open connection is not yet a place in the room; what was said there is.
  await say('I am here');
  await logged(`${name}@example.com: I am here`);
  return opened;
}

async function visitor() {
  const socket = await Socket.connect(server.as('/chat/room123', 'visitor'));
  return { socket, history: await socket.json() };
}

test('it shows the refusal of its placeholder token and tries again', async () => {
  const { page, logged } = await open();
  await logged('Connected to chat');
  assert.equal(await logged('Error: Invalid token'), 'error');
  await logged('Disconnected from chat');
  await logged('Reconnecting... (1/5)');
  await page.close();
});

test('it shows messages, joins, leaves and errors', async () => {
  const { page, logged, say } = await join('ada');
  const { socket, history } = await visitor();
  assert.deepEqual(history.users, [user('ada'), user('visitor')]);
  await logged('Notification: visitor@example.com joined');

  await say('Hello from the guide');
  await logged('ada@example.com: Hello from the guide');
  assert.equal(await page.locator('#messageInput').inputValue(), '');
  assert.equal((await socket.json()).text, 'Hello from the guide');

  socket.send({ type: 'chat', text: 'Hello, guide' });
  await logged('visitor@example.com: Hello, guide');

  await page.evaluate(() => {
    // @ts-ignore
    chatClient.socket.send('{no json');
  });
  assert.equal(await logged('Error: Invalid message format'), 'error');

  await socket.close();
  await logged('Notification: User left');
  await page.close();
});

test('it comes back after the server has restarted', async () => {
  const { page, logged, say } = await join('ada');
  const restarted = server.restart();
  await logged('Disconnected from chat');
  await logged('Reconnecting... (1/5)');
  await restarted;
  await logged('Connected to chat');
  await say('Back again');
  await logged('ada@example.com: Back again');

  const { socket, history } = await visitor();
  assert.deepEqual(history.users, [user('ada'), user('visitor')]);
  await page.close();
  // Closing its window is leaving.
  const left = await within(socket.json(), 'the leaving');
  assert.deepEqual(left, { type: 'user-left', user: user('ada'), userCount: 1 });
});
