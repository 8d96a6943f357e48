// The page in a real browser: what somebody sees who tries the server.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { LOST, Visitor, launch } from '../support/browser.js';
import { NODES } from '../support/nodes.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';
import { SECRET } from '../support/token.js';

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  // Tokens that survive a restart, minted on the page all the same.
  server = await Server.startDevelopment({ env: { JWT_SECRET: SECRET } });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server.stop();
});

/** @type {Visitor[]} */
let visitors = [];
afterEach(async () => {
  const those = visitors;
  visitors = [];
  for (const visitor of those) await visitor.context.close();
});

/** @param {import('playwright-core').BrowserContextOptions} [options] */
async function arrive(options, address = '/') {
  const visitor = await Visitor.arrive(browser, server.page, options);
  visitors.push(visitor);
  await visitor.page.goto(`${server.page}${address}`);
  return visitor;
}

/**
 * Somebody who is signed in and in a room, or at the posts.
 *
 * @param {string} name
 * @param {string} [address]
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
async function enter(name, address = '/#/chat/lobby', options) {
  const visitor = await arrive(options, address);
  await visitor.part('sign-in-name').fill(name);
  await visitor.part('sign-in-button').click();
  await (address.startsWith('/#/live') ? visitor.hasPosts() : visitor.isMember());
  return visitor;
}

/** @param {Visitor} visitor @param {string} text */
async function say(visitor, text) {
  await visitor.part('message-input').fill(text);
  await visitor.part('send-button').click();
}

/** @param {Visitor} visitor @param {string} text */
function message(visitor, text) {
  return visitor.part('message').filter({ has: visitor.page.getByText(text, { exact: true }) });
}

/** Waits until the room has a message of the visitor's own. @param {Visitor} visitor @param {string} text */
async function hasSaid(visitor, text) {
  await message(visitor, text).and(visitor.page.locator('[data-message-id]')).waitFor();
}

/** @param {Visitor} visitor @param {string} name */
function member(visitor, name) {
  return visitor.part('member').filter({ hasText: name });
}

/** @param {string} title @param {string} body */
async function publish(/** @type {Visitor} */ visitor, title, body) {
  await visitor.part('post-title').fill(title);
  await visitor.part('post-body').fill(body);
  await visitor.part('create-post').click();
}

/** @param {Visitor} visitor @param {string} title */
function post(visitor, title) {
  return visitor.part('post').filter({ has: visitor.page.getByText(title, { exact: true }) });
}

describe('the chat', () => {
  test('two people talk with each other', async () => {
    const ada = await enter('Ada');
    await ada.sees('messages-empty', 'No messages yet');
    const bob = await enter('Bob');
    await ada.sees('notice', 'bob joined');
    await ada.sees('member-count', '2 members');
    await member(bob, 'ada').waitFor();

    await say(ada, 'Hello Bob');
    await message(bob, 'Hello Bob').waitFor();
    await say(bob, 'Hello Ada');
    await message(ada, 'Hello Ada').waitFor();

    const own = message(ada, 'Hello Bob');
    assert.equal(await own.getAttribute('data-own'), '');
    assert.equal(await message(bob, 'Hello Bob').getAttribute('data-own'), null);
    assert.equal(await message(bob, 'Hello Bob').getByTestId('message-author').innerText(), 'ada');
    assert.equal(await ada.part('message-input').inputValue(), '');
    await ada.picture('chat');
    await bob.leave();
    await ada.leave();
  });

  test('somebody who comes later, or reloads, sees what was said', async () => {
    const ada = await enter('Ada', '/#/chat/archive');
    for (const text of ['one', 'two', 'three']) await say(ada, text);
    await hasSaid(ada, 'three');
    const bob = await enter('Bob', '/#/chat/archive');
    await message(bob, 'three').waitFor();
    assert.deepEqual(await bob.part('message-text').allInnerTexts(), ['one', 'two', 'three']);

    await ada.page.reload();
    await ada.isMember();
    await hasSaid(ada, 'three');
    assert.deepEqual(await ada.part('message-text').allInnerTexts(), ['one', 'two', 'three']);
    await bob.leave();
    await ada.leave();
  });

  test('who types is shown to the others until the message is there', async () => {
    const ada = await enter('Ada', '/#/chat/desk');
    const bob = await enter('Bob', '/#/chat/desk');
    // Looked for from before on, as it is over after a while.
    const typing = ada.sees('typing', 'bob is typing…');
    await bob.part('message-input').pressSequentially('Let me th');
    await typing;
    assert.equal(await bob.part('typing').innerText(), '');
    await ada.picture('typing');
    await bob.page.keyboard.press('Enter');
    await message(ada, 'Let me th').waitFor();
    await ada.part('typing').filter({ hasNotText: /./ }).waitFor({ state: 'attached' });
    await bob.leave();
    await ada.leave();
  });

  test('a private message reaches one person only', async () => {
    const ada = await enter('Ada', '/#/chat/booth');
    const bob = await enter('Bob', '/#/chat/booth');
    const carol = await enter('Carol', '/#/chat/booth');

    await member(ada, 'bob').getByRole('button').click();
    await ada.sees('private-target-name', 'bob');
    await say(ada, 'psst');
    await message(bob, 'psst').waitFor();
    await bob.sees('message-private', 'Private, to you');
    await ada.sees('message-private', 'Private, to bob');
    await ada.picture('private');

    // Bob answers from the message itself, then to the room.
    await bob.part('reply-privately').click();
    await say(bob, 'what?');
    await message(ada, 'what?').waitFor();
    await bob.part('private-cancel').click();
    await say(bob, 'aloud');
    await message(carol, 'aloud').waitFor();
    assert.deepEqual(await carol.part('message-text').allInnerTexts(), ['aloud']);
    for (const visitor of [carol, bob, ada]) await visitor.leave();
  });

  test('a private message to somebody who has left stays, and can be sent again or discarded', async () => {
    const ada = await enter('Ada', '/#/chat/doorstep');
    const bob = await enter('Bob', '/#/chat/doorstep');
    await member(ada, 'bob').getByRole('button').click();
    await bob.leave();
    await ada.sees('notice', 'bob left');
    await say(ada, 'are you there?');
    await ada.sees('message-state', 'Not delivered: the recipient is not here');
    await ada.picture('failed');
    const back = await enter('Bob', '/#/chat/doorstep');
    await ada.part('retry-message').click();
    await message(back, 'are you there?').waitFor();
    await ada.part('message-state').waitFor({ state: 'detached' });

    await back.leave();
    await ada.sees('member-count', '1 member');
    await say(ada, 'gone again');
    await ada.part('discard-message').click();
    await message(ada, 'gone again').waitFor({ state: 'detached' });
    assert.deepEqual(await ada.part('message-text').allInnerTexts(), ['are you there?']);
    await ada.leave();
  });

  test('who closes the window is gone', async () => {
    const ada = await enter('Ada', '/#/chat/porch');
    const bob = await enter('Bob', '/#/chat/porch');
    await ada.sees('member-count', '2 members');
    await bob.leave();
    await ada.sees('notice', 'bob left');
    await ada.sees('member-count', '1 member');
    assert.equal(await member(ada, 'bob').count(), 0);
    await ada.leave();
  });

  test('a second window of the same person is a device, not a person', async () => {
    const ada = await enter('Ada', '/#/chat/devices');
    const phone = await enter('Ada', '/#/chat/devices');
    await ada.sees('member-devices', '2 devices');
    await ada.sees('member-count', '1 member');
    await phone.leave();
    await ada.part('member-devices').waitFor({ state: 'detached' });
    await ada.leave();
  });

  test('rooms are apart, and one can go from one to the other', async () => {
    const ada = await enter('Ada', '/#/chat/red');
    await say(ada, 'in the red room');
    await hasSaid(ada, 'in the red room');
    await ada.part('room-input').fill('blue');
    await ada.part('join-room').click();
    await ada.sees('room-name', 'blue');
    await ada.isMember();
    await ada.sees('messages-empty', 'No messages yet');
    await ada.part('room').filter({ hasText: 'red' }).click();
    await message(ada, 'in the red room').waitFor();
    assert.deepEqual(await ada.part('message-text').allInnerTexts(), ['in the red room']);
    await ada.leave();
  });

  test('what is written is text and never markup', async () => {
    const ada = await enter('Ada', '/#/chat/markup');
    const bob = await enter('Bob', '/#/chat/markup');
    const markup = '<img src="//elsewhere.example/x" onerror="document.title=1"><b>bold</b>';
    await say(ada, markup);
    await message(bob, markup).waitFor();
    assert.equal(await bob.part('messages').locator('img, b').count(), 0);
    await bob.leave();
    await ada.leave();
  });

  test('a restart of the server is shown, and then everything goes on', async () => {
    const ada = await enter('Ada', '/#/chat/harbour');
    await say(ada, 'before');
    await hasSaid(ada, 'before');
    await server.stop();
    await ada.isNow('reconnecting');
    await ada.sees('connection-state', 'Reconnecting');
    await ada.sees('connection-reason', /is restarting|cannot be reached/);
    await say(ada, 'after');
    await ada.sees('message-state', 'Waits for the connection');
    await ada.picture('reconnecting');

    await server.run();
    await ada.isMember();
    // A server that keeps nothing on a disk began its rooms anew; a Redis keeps them.
    if (NODES === 1) await ada.sees('gap', 'The server began anew here');
    await ada.page.locator('[data-testid="message"][data-state="sent"]').filter({ hasText: 'after' }).waitFor();
    assert.deepEqual(await ada.part('message-text').allInnerTexts(), ['before', 'after']);
    const bob = await enter('Bob', '/#/chat/harbour');
    await message(bob, 'after').waitFor();
    await bob.leave();
    await ada.leave(LOST);
  });
});

describe('reading', () => {
  test('what is said elsewhere is unread: in the list of rooms, on the tab and in the title', async () => {
    const ada = await enter('Ada', '/#/chat/north');
    const bob = await enter('Bob', '/#/chat/north');
    await ada.part('room-input').fill('south');
    await ada.part('join-room').click();
    await ada.sees('room-name', 'south');
    await ada.isMember();
    for (const text of ['one', 'two']) await say(bob, text);
    const badge = ada.page.locator('[data-testid="room-unread"][data-room="north"]');
    await badge.filter({ hasText: '2' }).waitFor();
    await ada.page.waitForFunction(() => document.title === '(2) #south · NextRush');
    await ada.part('tab-live').click();
    await ada.part('chat-unread').waitFor();
    await ada.part('tab-chat').click();
    await ada.picture('unread');

    await ada.part('room').filter({ hasText: 'north' }).click();
    await ada.sees('unread-mark', 'New');
    assert.deepEqual(await ada.part('message-text').allInnerTexts(), ['one', 'two']);
    await badge.waitFor({ state: 'hidden' });
    await ada.page.waitForFunction(() => document.title === '#north · NextRush');

    // What is said while the page is closed is unread when it is opened again.
    const session = await ada.page.evaluate(() => ({ ...sessionStorage }));
    await ada.page.close();
    await say(bob, 'three');
    await message(bob, 'three').waitFor();
    const again = await ada.context.newPage();
    await again.addInitScript((entries) => {
      for (const [key, value] of Object.entries(entries)) sessionStorage.setItem(key, value);
    }, session);
    await again.goto(`${server.page}/#/chat/south`);
    await again.locator('[data-testid="room-unread"][data-room="north"]').filter({ hasText: '1' }).waitFor();
    await bob.leave();
    await ada.leave();
  });

  test('a private message is shown once, though it comes through every room', async () => {
    const ada = await enter('Ada', '/#/chat/east');
    await ada.part('room-input').fill('west');
    await ada.part('join-room').click();
    await ada.isMember();
    const bob = await enter('Bob', '/#/chat/west');
    await member(bob, 'ada').getByRole('button').click();
    await say(bob, 'psst');
    await message(ada, 'psst').waitFor();
    await say(bob, 'psst again');
    await message(ada, 'psst again').waitFor();
    assert.deepEqual(await ada.part('message-text').allInnerTexts(), ['psst', 'psst again']);
    await ada.part('room').filter({ hasText: 'east' }).click();
    await message(ada, 'psst again').waitFor();
    assert.deepEqual(await ada.part('message-text').allInnerTexts(), ['psst', 'psst again']);
    await bob.leave();
    await ada.leave();
  });

  test('one goes back to everything that the room keeps', async () => {
    const bob = await Socket.connect(server.as('/chat/annals', 'bob'));
    await bob.json();
    for (let n = 1; n <= 130; n += 1) {
      bob.send(JSON.stringify({ type: 'chat', text: `n ${n}` }));
      while ((await bob.json()).text !== `n ${n}`);
    }
    const ada = await enter('Ada', '/#/chat/annals');
    await message(ada, 'n 130').waitFor();
    assert.equal(await ada.part('message').count(), 50);
    // Scrolling to the begin is asking for more.
    await ada.part('message-log').evaluate((log) => log.scrollTo(0, 0));
    await message(ada, 'n 31').waitFor();
    await ada.sees('history-begin', 'Nothing older is kept');
    const texts = Array.from({ length: 100 }, (_, i) => `n ${31 + i}`);
    assert.deepEqual(await ada.part('message-text').allInnerTexts(), texts);
    // What was in sight stays where it was.
    const top = await message(ada, 'n 81').evaluate((element) => element.getBoundingClientRect().top);
    assert.ok(top > 0 && top < 700, `${top}`);
    await bob.close();
    await ada.leave();
  });
});

describe('signing in', () => {
  test('a name is asked for until there is one', async () => {
    const ada = await arrive();
    await ada.picture('sign-in');
    await ada.part('sign-in-button').click();
    await ada.sees('sign-in-error', 'Please enter a name.');
    await ada.part('sign-in-name').fill('Ada');
    await ada.part('sign-in-button').click();
    await ada.isMember();
    await ada.sees('signed-in-user', 'ada');
    await ada.leave();
  });

  test('signing out leads back, and the token is forgotten', async () => {
    const ada = await enter('Ada');
    await ada.part('sign-out').click();
    await ada.part('sign-in-name').waitFor();
    await ada.page.reload();
    await ada.part('sign-in-name').waitFor();
    assert.equal(await ada.part('chat-view').isVisible(), false);
    await ada.leave();
  });

  test('where the server mints no tokens, one is asked for', async () => {
    const strict = await Server.start();
    try {
      const { body } = await server.request('POST', '/api/dev/token', { body: { name: 'Grace' } });
      const grace = await Visitor.arrive(browser, strict.page);
      visitors.push(grace);
      await grace.page.goto(strict.page);
      await grace.part('token-input').fill('your-jwt-token');
      await grace.part('token-button').click();
      await grace.sees('sign-in-error', 'This is not a token');
      await grace.picture('token');
      await grace.part('token-input').fill(body.token);
      await grace.part('token-button').click();
      await grace.isMember();
      await grace.sees('signed-in-user', 'grace');
      // The page asks whether the server is in development mode, and it is not.
      await grace.leave(/404/);
    } finally {
      await strict.stop();
    }
  });

  test('a token that the server takes no more leads back, with a word about it', async () => {
    const { body } = await server.request('POST', '/api/dev/token', { body: { name: 'Grace' } });
    const strict = await Server.start();
    const other = new Server({ env: { JWT_SECRET: `${SECRET} and another` } });
    other.port = strict.port;
    try {
      const grace = await Visitor.arrive(browser, strict.page);
      visitors.push(grace);
      await grace.page.goto(strict.page);
      await grace.part('token-input').fill(body.token);
      await grace.part('token-button').click();
      await grace.isMember();
      await strict.stop();
      await other.run();
      await grace.sees('sign-in-error', 'Please sign in again');
      await grace.leave(new RegExp(`404|${LOST.source}`));
    } finally {
      await strict.stop();
      await other.stop();
    }
  });

  test('where the server mints tokens, a refused one is replaced without a word', async () => {
    const own = await Server.startDevelopment();
    try {
      const ada = await Visitor.arrive(browser, own.page);
      visitors.push(ada);
      await ada.page.goto(own.page);
      await ada.part('sign-in-name').fill('Ada');
      await ada.part('sign-in-button').click();
      await ada.isMember();
      // With another random secret. The page may be back before the restart is known to be done.
      const isLost = await ada.willBe(/^reconnecting$/);
      await own.restart();
      await isLost();
      await ada.isMember();
      await say(ada, 'still me');
      await ada.page.locator('[data-testid="message"][data-state="sent"]').waitFor();
      await ada.sees('signed-in-user', 'ada');
      await ada.leave(LOST);
    } finally {
      await own.stop();
    }
  });
});

describe('the live posts', () => {
  test('a post appears in another window without reload, and so does its change', async () => {
    const ada = await enter('Ada', '/#/live');
    const bob = await enter('Bob', '/#/live');
    // A page that was loaded again would have forgotten this.
    await bob.page.evaluate(() => Object.assign(window, { sameDocument: true }));

    await publish(ada, 'The harvest', 'Rich this year.');
    const seen = post(bob, 'The harvest');
    await seen.waitFor();
    assert.equal(await seen.getByTestId('post-author').innerText(), 'ada');
    await seen.getByTestId('post-item-body').filter({ hasText: 'Rich this year.' }).waitFor();
    await bob.picture('live');

    await post(ada, 'The harvest').getByTestId('edit-post').click();
    await ada.part('edit-title').fill('The late harvest');
    await ada.part('edit-body').fill('Rich, and late.');
    await ada.picture('edit');
    await ada.part('save-post').click();
    const changed = post(bob, 'The late harvest');
    await changed.waitFor();
    await changed.getByTestId('post-item-body').filter({ hasText: 'Rich, and late.' }).waitFor();
    await changed.getByTestId('post-changed').waitFor();
    assert.equal(await post(bob, 'The harvest').count(), 0);
    assert.equal(await bob.page.evaluate('window.sameDocument'), true);
    await bob.leave();
    await ada.leave();
  });

  test('a post that is open says that it is followed, and who edits it is warned of a change', async () => {
    const ada = await enter('Ada', '/#/live');
    const bob = await enter('Bob', '/#/live');
    await publish(ada, 'Minutes', 'First version.');
    await post(bob, 'Minutes').getByTestId('open-post').click();
    await post(bob, 'Minutes').getByText('Following this post').waitFor();

    await post(bob, 'Minutes').getByTestId('edit-post').click();
    await post(ada, 'Minutes').getByTestId('edit-post').click();
    await ada.part('edit-body').fill('Second version.');
    await ada.part('save-post').click();
    await bob.sees('edit-conflict', 'changed meanwhile');
    await bob.part('take-theirs').click();
    assert.equal(await bob.part('edit-body').inputValue(), 'Second version.');
    await bob.leave();
    await ada.leave();
  });

  test('what was published while the server was away, or before, is there', async () => {
    const ada = await enter('Ada', '/#/live');
    await publish(ada, 'Early bird', 'First.');
    await post(ada, 'Early bird').waitFor();
    const bob = await enter('Bob', '/#/live');
    await post(bob, 'Early bird').waitFor();
    await bob.leave();
    await ada.leave();
  });
});

describe('by keyboard alone', () => {
  /**
   * Presses Tab until an element has the focus.
   *
   * @param {Visitor} visitor
   * @param {import('playwright-core').Locator} target
   */
  async function tabTo({ page }, target) {
    for (let presses = 0; presses < 60; presses += 1) {
      if (await target.evaluate((element) => element === document.activeElement)) return;
      await page.keyboard.press('Tab');
    }
    assert.fail('the element cannot be reached with Tab');
  }

  test('one signs in, talks, writes in private and publishes', async () => {
    const bob = await enter('Bob', '/#/chat/keys');
    const ada = await arrive({}, '/#/chat/keys');
    const { keyboard } = ada.page;
    await ada.part('sign-in-name').waitFor();
    await tabTo(ada, ada.part('sign-in-name'));
    await keyboard.type('Ada');
    await keyboard.press('Enter');
    await ada.isMember();

    await tabTo(ada, ada.part('message-input'));
    await keyboard.type('two');
    await keyboard.press('Shift+Enter');
    await keyboard.type('lines');
    await keyboard.press('Enter');
    await bob.sees('message-text', 'two lines');
    assert.equal(await bob.part('message-text').innerText(), 'two\nlines');

    await tabTo(ada, member(ada, 'bob').getByRole('button'));
    await keyboard.press('Enter');
    await ada.sees('private-target-name', 'bob');
    await keyboard.type('psst');
    await keyboard.press('Enter');
    await bob.sees('message-private', 'Private, to you');
    await keyboard.press('Escape');
    await ada.part('private-target').waitFor({ state: 'hidden' });

    await tabTo(ada, ada.part('tab-live'));
    await keyboard.press('Enter');
    await ada.hasPosts();
    await tabTo(ada, ada.part('post-title'));
    await keyboard.type('By keyboard');
    await tabTo(ada, ada.part('post-body'));
    await keyboard.type('All of it.');
    await keyboard.press('Control+Enter');
    await post(ada, 'By keyboard').waitFor();
    await ada.leave();
    await bob.leave();
  });
});

for (const width of [320, 375]) {
  describe(`on a phone of ${width} pixels`, () => {
    const phone = { viewport: { width, height: 640 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
    const long = 'Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen'.repeat(4);

    /** @param {Visitor} visitor */
    async function assertFits({ page }) {
      const { wide, wider } = await page.evaluate(() => ({
        wide: document.documentElement.scrollWidth,
        wider: [...document.querySelectorAll('body *')]
          .filter((element) => element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 1 && !element.closest('.drawer, .visually-hidden'))
          .map((element) => element.outerHTML.slice(0, 100)),
      }));
      assert.ok(wide <= width, `${wide} pixels wide: ${wider.join('\n')}`);
    }

    test('everything fits and can be used by touch', async () => {
      const ada = await arrive(phone, `/#/chat/pocket-${width}`);
      await ada.part('sign-in-name').waitFor();
      await assertFits(ada);
      await ada.picture(`phone-${width}-sign-in`);
      await ada.part('sign-in-name').fill(`Ada on ${width}`);
      await ada.part('sign-in-button').tap();
      await ada.isMember();

      await ada.part('message-input').fill(long);
      await assertFits(ada);
      await ada.part('send-button').tap();
      await message(ada, long).waitFor();
      await assertFits(ada);
      await ada.picture(`phone-${width}-chat`);

      await ada.part('open-members').tap();
      await member(ada, `ada-on-${width}`).waitFor();
      await ada.picture(`phone-${width}-members`);
      await ada.part('close-members').tap();
      await ada.part('open-rooms').tap();
      await ada.part('room-input').fill('bag');
      await ada.part('join-room').tap();
      await ada.sees('room-name', 'bag');
      await assertFits(ada);

      await ada.part('tab-live').tap();
      await ada.hasPosts();
      await ada.part('post-title').fill(`${width}${long.slice(0, 150)}`);
      await ada.part('post-body').fill(long);
      await ada.part('create-post').tap();
      await post(ada, `${width}${long.slice(0, 150)}`).waitFor();
      await assertFits(ada);
      await ada.picture(`phone-${width}-live`);
      await ada.leave();
    });
  });
}
