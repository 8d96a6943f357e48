// The program started from a configuration file alone, without a flag or a variable: the guide's client, byte for
// byte, and the page, in one room.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Visitor, launch } from '../support/browser.js';
import { GuidePage } from '../support/guide-client.js';
import { Program, built } from '../support/program.js';
import { SECRET, token } from '../support/token.js';

const FILE = `listen = ["127.0.0.1:0"]
jwt-secret = "${SECRET}"
store = "store"
`;

const folder = mkdtempSync(path.join(tmpdir(), 'nextrush-file-'));
/** @type {Program} */
let program;
let port = 0;
/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  writeFileSync(path.join(folder, 'nextrush.toml'), FILE, { mode: 0o600 });
  program = new Program('sh', ['-c', 'cd "$0" && exec "$1"', folder, built('nextrush')]);
  port = Number((await program.line(/^Open http:\/\/localhost:(\d+)\/$/))[1]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("the guide's client and the page talk with each other", async () => {
  const guide = await GuidePage.open(port);
  guide.client.token = token('ada');
  await guide.logged('Disconnected from chat');
  await guide.timers.take('the wait before reconnecting').then(({ run }) => run());
  await guide.logged('Connected to chat');

  const address = `http://localhost:${port}`;
  const bob = await Visitor.arrive(browser, address);
  await bob.page.goto(`${address}/#/chat/room123`);
  await bob.part('token-input').fill(token('bob'));
  await bob.part('token-button').click();
  await bob.isMember();
  await guide.logged('Notification: bob@example.com joined');

  guide.say('Hello from the guide');
  await bob.sees('message', 'Hello from the guide');
  await bob.part('message-input').fill('Hello from the page');
  await bob.part('send-button').click();
  await guide.logged('bob@example.com: Hello from the page');

  guide.client.disconnect();
  await bob.sees('notice', 'ada left');
  // The page asks whether the server is in development mode, and it is not.
  await bob.leave(/404/);
});
