// The tutorial's board (`examples/board`): two people, each with a browser of their own.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { launch, Visitor } from '../support/browser.js';
import { built, Program } from '../support/program.js';

/** @type {Program} */
let program;
/** @type {string} */
let folder;
/** @type {string} */
let address;
/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nextrush-board-'));
  program = new Program(built('board'), [path.join(folder, 'board.db'), '127.0.0.1:0']);
  [, address] = await program.line(/^Open (http:\/\/localhost:\d+)\/$/);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program?.stop();
  await rm(folder, { recursive: true });
});

/** @param {string} name */
async function signIn(name) {
  const visitor = await Visitor.arrive(browser, address);
  await visitor.page.goto(address);
  await enter(visitor, 'Your name', name);
  await visitor.page.getByRole('status').filter({ hasText: 'connected' }).waitFor();
  return visitor;
}

/** @param {Visitor} visitor @param {string} label @param {string} text */
async function enter({ page }, label, text) {
  await page.getByLabel(label).first().fill(text);
  await page.getByLabel(label).first().press('Enter');
}

/** @param {Visitor} visitor @param {string} list @param {string} text */
const card = ({ page }, list, text) => page.getByRole('region', { name: list }).getByRole('article').filter({ hasText: text });

/** Where a card is taken: its list and its button are no handles. */
const BY_TEXT = { sourcePosition: { x: 12, y: 12 } };

test('two people move cards on one board, see each other, and one is removed', async () => {
  const ada = await signIn('Ada');
  const bob = await signIn('Bob');
  await enter(ada, 'New board', 'Garden');
  await ada.page.getByRole('button', { name: 'Garden' }).click();
  await enter(ada, 'Name of somebody', 'Bob');
  // It appears by itself.
  await bob.page.getByRole('button', { name: 'Garden' }).click();

  for (const { page } of [ada, bob]) {
    const here = page.getByRole('list', { name: 'Here now' });
    for (const [name, picture] of [['Ada', 0], ['Bob', 1]]) {
      const person = here.getByRole('listitem').filter({ hasText: String(name) });
      await person.locator(`img[src="/pictures/${picture}.svg"]`).waitFor();
      await page.waitForFunction(() => [...document.images].every(({ naturalWidth }) => naturalWidth > 0));
    }
  }

  await enter(ada, 'New card', 'Dig');
  await card(bob, 'To do', 'Dig').waitFor();
  await enter(ada, 'New card', 'Sow');
  await card(bob, 'To do', 'Sow').waitFor();
  await card(bob, 'To do', 'Sow').dragTo(bob.page.getByRole('region', { name: 'Done' }), BY_TEXT);
  await card(ada, 'Done', 'Sow').waitFor();
  await card(bob, 'To do', 'Dig').dragTo(card(bob, 'Done', 'Sow'), BY_TEXT);
  await ada.page.locator('section:last-of-type article:has-text("Dig") + article:has-text("Sow")').waitFor();
  await ada.page.getByLabel('List of Dig').selectOption('Doing');
  await card(bob, 'Doing', 'Dig').waitFor();
  await ada.picture('board');

  // Also after a reload: what was done is in the database.
  await bob.page.reload();
  await bob.page.getByRole('button', { name: 'Garden' }).click();
  await card(bob, 'Doing', 'Dig').waitFor();

  await ada.page.getByRole('button', { name: 'Remove Bob' }).click();
  await bob.page.getByText('You were removed from this board.').waitFor();
  await bob.page.getByRole('button', { name: 'Garden' }).waitFor({ state: 'detached' });
  await bob.page.getByRole('button', { name: 'Sign out Bob' }).click();
  await bob.page.getByLabel('Your name').waitFor();
  await ada.leave();
  await bob.leave();
});
