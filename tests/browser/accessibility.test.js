// The page examined by axe-core, in light and dark, on a desk and on a phone.
import { after, before, test } from 'node:test';
import { assertAccessible } from '../support/accessible.js';
import { LOST, Visitor, launch } from '../support/browser.js';
import { ADMIN_KEY } from '../support/inspector.js';
import { Server } from '../support/server.js';

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  server = await Server.startDevelopment();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server.stop();
});

test('the way into the inspector has no serious fault', async () => {
  const guarded = await Server.start({ args: ['--admin-key', ADMIN_KEY] });
  try {
    const ops = await Visitor.arrive(browser, guarded.page);
    await ops.page.goto(`${guarded.page}/#/inspect`);
    await ops.part('admin-key').fill('another');
    await ops.page.keyboard.press('Enter');
    await ops.sees('admin-key-error', 'This is not the admin key.');
    await assertAccessible(ops, 'inspector, way in');
    await ops.leave(/401/);
  } finally {
    await guarded.stop();
  }
});

const SCREENS = {
  desk: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 375, height: 667 }, isMobile: true, hasTouch: true },
};

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  for (const [screen, options] of Object.entries(SCREENS)) {
    test(`no view has a serious fault (${colorScheme}, ${screen})`, async () => {
      const address = `/#/chat/${colorScheme}-${screen}`;
      // Animations would be caught half way between two colours.
      const settings = { ...options, colorScheme, reducedMotion: /** @type {const} */ ('reduce') };
      const bob = await Visitor.arrive(browser, server.page, settings);
      const ada = await Visitor.arrive(browser, server.page, settings);
      for (const [visitor, name] of /** @type {[Visitor, string][]} */ ([[bob, 'Bob'], [ada, 'Ada']])) {
        await visitor.page.goto(`${server.page}${address}`);
        await visitor.part('sign-in-name').waitFor();
        if (visitor === ada) await assertAccessible(ada, 'sign-in');
        await visitor.part('sign-in-name').fill(name);
        await visitor.part('sign-in-button').click();
        await visitor.isMember();
      }

      for (const [visitor, text] of /** @type {[Visitor, string][]} */ ([[bob, 'Hello https://example.com'], [ada, 'Hello, Bob']])) {
        await visitor.part('message-input').fill(text);
        await visitor.part('send-button').click();
      }
      await ada.sees('message-text', 'Hello https://example.com');
      // Looked for from before on, as it is over after a while.
      const typing = ada.sees('typing', 'bob is typing…');
      await bob.part('message-input').pressSequentially('H');
      await typing;
      await assertAccessible(ada, 'chat');
      await ada.picture(`${colorScheme}-${screen}-chat`);

      if (screen === 'phone') await ada.part('open-members').click();
      await ada.part('member').filter({ hasText: 'bob' }).getByRole('button').click();
      await ada.part('private-target').waitFor();
      await ada.part('message-input').fill('psst');
      await ada.part('send-button').click();
      await ada.part('message-private').waitFor();
      await assertAccessible(ada, 'private message');

      await ada.part('tab-live').click();
      await ada.hasPosts();
      const title = `Seen in ${colorScheme} on a ${screen}`;
      await ada.part('post-title').fill(title);
      await ada.part('post-body').fill('With a text.');
      await ada.part('create-post').click();
      await ada.part('post').filter({ hasText: title }).getByTestId('edit-post').click();
      await ada.part('edit-form').waitFor();
      await assertAccessible(ada, 'live');
      await ada.picture(`${colorScheme}-${screen}-live`);

      await ada.part('tab-inspect').click();
      await ada.sees('connections-shown', 'connections');
      await ada.part('tile-connections').filter({ hasNotText: '–' }).waitFor();
      await assertAccessible(ada, 'inspector, connections');
      await ada.part('disconnect').first().click();
      await ada.part('confirm-button').waitFor();
      await assertAccessible(ada, 'inspector, question');
      await ada.part('confirm-cancel').click();
      for (const section of ['rooms', 'channels']) {
        await ada.part(`section-${section}`).click();
        await ada.sees(`${section}-shown`, /^\d/);
        await assertAccessible(ada, `inspector, ${section}`);
      }
      await ada.page.goto(`${server.page}/#/inspect/tail/posts`);
      await ada.sees('tail-state', 'Following');
      await bob.page.goto(`${server.page}/#/live`);
      await bob.hasPosts();
      await bob.part('post-title').fill('Overheard');
      await bob.part('create-post').click();
      await ada.part('tail-entry').click();
      await assertAccessible(ada, 'inspector, live tail');

      await ada.part('tab-chat').click();
      await ada.context.setOffline(true);
      await ada.part('connection-banner').waitFor();
      await ada.part('message-input').fill('written offline');
      await ada.page.keyboard.press('Enter');
      await ada.sees('message-state', 'Waits for the connection');
      await assertAccessible(ada, 'chat without a connection');
      await ada.context.setOffline(false);
      await ada.isMember();
      await ada.leave(LOST);
      await bob.leave();
    });
  }
}
