// Takes the pictures in docs/screenshots: the page of a real server, with people in it.
//
//   npm run screenshots --prefix tests            five minutes, so that the plots are full
//   npm run screenshots --prefix tests -- 20      twenty seconds
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import WebSocket from 'ws';
import { Visitor, launch } from './support/browser.js';
import { ROOT } from './support/program.js';
import { Server } from './support/server.js';
import { SECRET, sign, seconds as ahead } from './support/token.js';

const FOLDER = path.join(ROOT, 'docs/screenshots');
/** No picture may be larger, in bytes: they are in the repository. */
const LIMIT = 150_000;

const SCREENS = {
  light: { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: 'light', isMobile: true, hasTouch: true, deviceScaleFactor: 1.5 },
};

const PEOPLE = ['ada', 'grace', 'linus', 'margaret', 'radia', 'barbara', 'edsger', 'hedy', 'katherine', 'alan', 'sophie', 'dennis', 'frances', 'tim', 'karen', 'vint'];
const ROOMS = ['lobby', 'release', 'design', 'support', 'operations'];

const CONVERSATION = [
  ['grace', 'Morning! The drain took 5 s last night, and nobody noticed.'],
  ['linus', 'Same here. My phone came back in the tunnel and had every message.'],
  ['margaret', 'The gap between the two data centres is gone since we set --store.'],
  ['ada', 'Good. Then let us announce it. Who writes the post?'],
  ['radia', 'I will. Draft is at https://example.com/notes'],
  ['linus', 'Do not forget the numbers from the load test.'],
  ['radia', 'They are in, with the machine they were measured on.'],
  ['ada', 'Then it goes out at noon.'],
];

const POSTS = [
  ['Reading list', 'Papers and talks for newcomers, in the order in which they help.'],
  ['Maintenance on Thursday', 'Servers are drained one by one from 06:00 UTC. Clients come back by themselves.'],
  ['Version 0.1 is out', 'Rooms, recovery, presence, and an inspector for operators. Thank you to everybody who tested it.'],
];

/** @param {string} name */
const tokenOf = (name) => sign({ id: name, email: `${name}@example.com`, exp: ahead(3_600) });

/** Somebody who talks all the time, as it suits the hour. */
class Talker {
  /** @param {Server} server @param {string} name @param {string} room */
  constructor(server, name, room) {
    this.socket = new WebSocket(`${server.ws(`/chat/${room}`)}?token=${tokenOf(name)}`);
    this.socket.on('error', () => {});
  }

  /** @param {unknown} message */
  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}

/**
 * @param {import('playwright-core').Browser} browser
 * @param {Server} server
 * @param {keyof typeof SCREENS} screen
 */
async function visit(browser, server, screen) {
  const options = /** @type {import('playwright-core').BrowserContextOptions} */ (SCREENS[screen]);
  const visitor = await Visitor.arrive(browser, server.page, options);
  await visitor.page.goto(server.page);
  await visitor.page.evaluate((token) => sessionStorage.setItem('nextrush.token', token), tokenOf('ada'));
  await visitor.page.evaluate((rooms) => {
    localStorage.setItem('nextrush.rooms', JSON.stringify(rooms));
    localStorage.setItem('nextrush.read."ada"', JSON.stringify(rooms.slice(1).map((room) => [room, 0])));
  }, ROOMS);
  await visitor.page.goto(`${server.page}/#/chat/lobby`);
  await visitor.page.reload();
  await visitor.isNow('connected');
  return visitor;
}

/** @param {Visitor} visitor @param {string} name */
async function shoot({ page }, name) {
  const file = path.join(FOLDER, `${name}.png`);
  await page.screenshot({ path: file, animations: 'disabled', caret: 'hide' });
  const { size } = await stat(file);
  if (size > LIMIT) throw new Error(`${name}.png has ${size} bytes`);
  console.log(`${name}.png: ${size} bytes`);
}

const lasting = Number(process.argv[2] ?? 300);
await mkdir(FOLDER, { recursive: true });
const server = await Server.startDevelopment({ env: { JWT_SECRET: SECRET } });
const browser = await launch();
try {
  for (const [title, body] of POSTS) {
    await server.request('POST', '/api/posts', { token: tokenOf('radia'), body: { title, body } });
  }
  const speakers = new Map(['grace', 'linus', 'margaret', 'radia', 'ada'].map((name) => [name, new Talker(server, name, 'lobby')]));
  await Promise.all([...speakers.values()].map(({ socket }) => new Promise((resolve) => socket.once('open', resolve))));
  for (const [name, text] of CONVERSATION) {
    const socket = speakers.get(name)?.socket;
    const heard = new Promise((resolve) => {
      const listen = (/** @type {Buffer} */ data) => {
        if (JSON.parse(data.toString()).text !== text) return;
        socket?.off('message', listen);
        resolve(undefined);
      };
      socket?.on('message', listen);
    });
    socket?.send(JSON.stringify({ type: 'chat', text }));
    await heard;
  }
  speakers.get('ada')?.socket.close();

  const talkers = ROOMS.slice(1).flatMap((room, r) =>
    Array.from({ length: 40 }, (_, i) => new Talker(server, `${PEOPLE[(i + r) % PEOPLE.length]}${i < PEOPLE.length ? '' : `-${i}`}`, room)),
  );
  await Promise.all(talkers.map(({ socket }) => new Promise((resolve) => socket.once('open', resolve))));
  // What Ada has not read yet.
  for (const talker of [...talkers.slice(0, 3), ...talkers.slice(40, 52), talkers[80]]) talker?.send({ type: 'chat', text: 'Good morning' });

  for (const screen of /** @type {(keyof typeof SCREENS)[]} */ (Object.keys(SCREENS))) {
    const ada = await visit(browser, server, screen);
    await ada.sees('message-text', 'Then it goes out at noon.');
    await ada.page.waitForFunction(() => [...document.querySelectorAll('.badge')].filter((badge) => !badge.hasAttribute('hidden')).length >= 3);
    speakers.get('grace')?.send({ type: 'typing', isTyping: true });
    await ada.sees('typing', 'grace is typing…');
    await shoot(ada, `chat-${screen}`);
    await ada.page.goto(`${server.page}/#/live`);
    await ada.sees('post-item-title', 'Version 0.1 is out');
    await shoot(ada, `live-${screen}`);
    await ada.context.close();
  }
  console.log(`talking for ${lasting} s`);
  const begin = Date.now();
  const talking = setInterval(() => {
    const t = (Date.now() - begin) / 1_000;
    const share = 0.16 + 0.1 * Math.sin(t / 21) + 0.05 * Math.sin(t / 5.5);
    for (const talker of talkers) if (Math.random() < share) talker.send({ type: 'chat', text: `Message at ${t.toFixed(1)} s` });
  }, 500);
  await new Promise((resolve) => setTimeout(resolve, lasting * 1_000));
  for (const screen of /** @type {(keyof typeof SCREENS)[]} */ (Object.keys(SCREENS))) {
    const ada = await visit(browser, server, screen);
    await ada.page.goto(`${server.page}/#/inspect`);
    await ada.isNow('connected', 'inspect-connection');
    await ada.sees('connections-shown', 'connections');
    await ada.part('tile-in').filter({ hasNotText: '–' }).waitFor();
    await shoot(ada, `inspector-${screen}`);
    await ada.context.close();
  }
  clearInterval(talking);
  for (const { socket } of [...talkers, ...speakers.values()]) socket.terminate();
} finally {
  await browser.close();
  await server.stop();
}
