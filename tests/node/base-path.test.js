// The client below a path, as a proxy passes it on (`--base-path`).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { ChatClient, LiveClient } from '../../clients/javascript/src/index.js';
import { within } from '../support/patience.js';
import { Server } from '../support/server.js';
import { token } from '../support/token.js';

const BASE = '/team/chat';

/** @type {Server} */
let server;
before(async () => (server = await Server.start({ args: ['--base-path', BASE] })));
after(() => server.stop());

/**
 * @param {{ on: (type: string, listener: (event: any) => void) => unknown }} emitter
 * @param {string} type
 * @returns {Promise<any>}
 */
const next = (emitter, type) => within(new Promise((resolve) => emitter.on(type, resolve)), type);

test('channels and chats are reached by the address of a server with a path', async () => {
  for (const address of [server.ws(BASE), `${server.http(BASE)}/`]) {
    const options = { server: address, WebSocket };
    const live = new LiveClient(token('ada'), options);
    const subscription = live.subscribe('posts');
    const subscribed = new Promise((resolve) => subscription.on('state', (state) => state === 'subscribed' && resolve(state)));
    live.connect();
    await within(subscribed, 'a subscription');
    live.close();

    const chat = new ChatClient('lobby', token('ada'), options);
    chat.handleMessage = () => {};
    const joined = next(chat, 'room-history');
    chat.connect();
    await joined;
    const heard = next(chat, 'chat-message');
    assert.equal(chat.sendMessage('Hello'), true);
    assert.equal((await heard).text, 'Hello');
    chat.disconnect();
  }
});
