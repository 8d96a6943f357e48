// The page below a path, behind nginx, Caddy and HAProxy as deploy/ configures them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Visitor, launch } from '../support/browser.js';
import { NAME, Proxy, isInstalled } from '../support/proxies.js';
import { Server } from '../support/server.js';
import { token } from '../support/token.js';

const BASE = '/team/chat';
const ADMIN_KEY = 'a key of operators, thirty-two bytes and more';

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  server = await Server.start({ args: ['--base-path', BASE, '--trusted-proxy', '127.0.0.1', '--admin-key', ADMIN_KEY] });
  browser = await launch(`--host-resolver-rules=MAP ${NAME} 127.0.0.1`);
});
after(async () => {
  await browser?.close();
  await server.stop();
});

for (const name of ['nginx', 'caddy', 'haproxy']) {
  const skip = !process.env.NEXTRUSH_REQUIRE_PROXIES && !isInstalled(name) && `${name} is not installed; ./test end-to-end installs it`;
  test(`chat, posts and the inspector work behind ${name}`, { skip }, async () => {
    const proxy = await Proxy.start(name, [server.port], BASE);
    try {
      const origin = `https://${NAME}:${proxy.port}`;
      // Nothing may be asked for beside the path.
      const ada = await Visitor.arrive(browser, `${origin}${BASE}`, { ignoreHTTPSErrors: true });
      await ada.page.goto(`${origin}${BASE}/#/chat/${name}`);
      await ada.part('token-input').fill(token('ada'));
      await ada.part('token-button').click();
      await ada.isMember();
      await ada.part('message-input').fill('Hello from below');
      await ada.part('send-button').click();
      await ada.sees('message', 'Hello from below');

      await ada.page.goto(`${origin}${BASE}/#/live`);
      await ada.hasPosts();
      await ada.part('post-title').fill(`News of ${name}`);
      await ada.part('post-body').fill('It works.');
      await ada.part('create-post').click();
      await ada.sees('post', `News of ${name}`);

      await ada.page.goto(`${origin}${BASE}/#/inspect`);
      await ada.part('admin-key').fill(ADMIN_KEY);
      await ada.part('admin-key-button').click();
      await ada.sees('connections', 'ada');
      // The page asks whether the server is in development mode, and it is not.
      await ada.leave(/404/);
    } finally {
      await proxy.stop();
    }
  });
}
