import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ChatClient, Client, LiveClient, Outbox } from '../src/index.js';
import { placeOf } from '../src/address.js';
import { userKey, userOf } from '../src/token.js';
import { ContractServer } from '../testing/contract-server.js';
import { linkedWorld } from '../testing/linked-world.js';
import { memoryStore } from './kit/memory-store.js';
import { record, settled } from './kit/world.js';

/** A token with claims, unsigned, as the servers of these tests take them. */
const jwt = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;

/** A promise whose rejection is looked at later. */
const kept = (promise) => {
  promise.catch(() => {});
  return promise;
};

/** A server, a store that outlives pages, and rooms of it. */
function setting({ old = false, userOfToken } = {}) {
  const server = new ContractServer({ old, userOfToken });
  const w = linkedWorld(server);
  const store = memoryStore();
  const settle = async () => {
    for (let i = 0; i < 5; i += 1) {
      w.settle();
      await settled();
    }
  };
  const room = (name, token = jwt({ id: 'ada' }), options = {}) => {
    const chat = new ChatClient(name, token, { ...w.options, ...options });
    chat.handleMessage = () => {};
    return chat;
  };
  /** How a promise ended: done, or the code of its error. */
  const fate = async (promise) => {
    let code = 'open';
    promise.then(() => (code = 'done'), (error) => ({ code } = error));
    await settle();
    return code;
  };
  return { server, w, store, settle, room, fate };
}

test('a place is server, endpoint and room, and not the token or the position', () => {
  const place = placeOf('wss://chat.example/app/chat/a%2Fb?token=t&epoch=e&offset=7#x');
  assert.equal(place, 'wss://chat.example/app/chat/a%2Fb');
  assert.equal(placeOf('https://chat.example/app/chat/a%2Fb'), place);
  assert.equal(placeOf('ws://game.example/play?table=7&token=t'), 'ws://game.example/play?table=7');
});

test('a token tells whose it is', () => {
  assert.equal(userOf(jwt({ id: 7 })), '7');
  assert.equal(userOf(jwt({ id: '7' })), '"7"');
  assert.equal(userOf(jwt({ sub: 'ädä' })), '"ädä"');
  for (const token of [jwt({}), jwt(null), jwt({ id: {} }), 'opaque', '', null, undefined]) assert.equal(userOf(token), undefined);
  assert.equal(userKey(true), undefined);
});

describe('what was said without a connection, in one of two rooms with one outbox', () => {
  for (const user of ['ada', 1]) {
    for (const token of [jwt({ id: user }), async () => jwt({ id: user })]) {
      const how = typeof token === 'string' ? 'a token' : 'a token function';
      test(`goes into that room alone, after a reload and with ${how} of the user ${JSON.stringify(user)}`, async () => {
        const { server, store, settle, room } = setting();
        const page = [room('secret', token, { outbox: new Outbox(store) }), room('public', token, { outbox: new Outbox(store) })];
        page.forEach((chat) => chat.connect());
        await settle();
        server.cut(1006);
        await settle();
        page[0].say('only for secret').catch(() => {});
        await settled();
        page.forEach((chat) => chat.close());

        const [secret, open] = [room('secret', token, { outbox: new Outbox(store) }), room('public', token, { outbox: new Outbox(store) })];
        const heard = [record(secret, 'chat-message'), record(open, 'chat-message')];
        const restored = [record(secret, 'restored'), record(open, 'restored')];
        open.connect();
        await settle();
        assert.equal(store.stored.size, 1, 'it waits for its own room');
        secret.connect();
        await settle();
        assert.deepEqual(heard.map((messages) => messages.map(({ text }) => text)), [['only for secret'], []]);
        assert.deepEqual(restored.map((requests) => requests.length), [1, 0]);
        assert.equal(server.executed.get('only for secret'), 1);
        assert.equal(store.stored.size, 0);
      });
    }
  }

  for (const broken of ['as soon as it was open', 'before it was open']) {
    test(`goes out after a reload, also if the line broke ${broken}`, async () => {
      const { server, w, store, settle, room } = setting();
      const token = async () => jwt({ id: 'ada' });
      const first = room('hall', token, { outbox: new Outbox(store) });
      first.connect();
      await settled();
      if (broken === 'as soon as it was open') {
        w.step();
        w.step((wires) => wires.at(-1));
        assert.equal(first.state, 'connected');
      }
      w.links[0].break();
      assert.equal(first.state, 'disconnected');
      first.say('soon').catch(() => {});
      await settled();
      first.close();

      const again = room('hall', token, { outbox: new Outbox(store) });
      const restored = record(again, 'restored');
      again.connect();
      await settle();
      assert.deepEqual(restored.map(({ message }) => message.text), ['soon']);
      assert.equal(server.executed.get('soon'), 1);
      assert.equal(store.stored.size, 0);
    });
  }

  test('is left alone by another user of the same room, and goes out when its author comes back', async () => {
    const { server, store, settle, room } = setting();
    const ada = room('hall', jwt({ id: 'ada' }), { outbox: new Outbox(store) });
    ada.say('of ada').catch(() => {});
    await settled();
    ada.close();
    for (const id of ['bob', 'ada']) {
      const chat = room('hall', jwt({ id }), { outbox: new Outbox(store) });
      const restored = record(chat, 'restored');
      chat.connect();
      await settle();
      assert.equal(restored.length, id === 'ada' ? 1 : 0);
      assert.equal(server.executed.get('of ada'), id === 'ada' ? 1 : undefined);
      chat.close();
    }
  });

  test('is told from that of another server, and of another endpoint', async () => {
    const { w, store, settle } = setting();
    const make = [
      () => new LiveClient(jwt({ id: 'ada' }), { ...w.options, outbox: new Outbox(store), server: 'ws://one.example' }),
      () => new LiveClient(jwt({ id: 'ada' }), { ...w.options, outbox: new Outbox(store), server: 'ws://two.example' }),
      () => new LiveClient(jwt({ id: 'ada' }), { ...w.options, outbox: new Outbox(store), server: 'ws://one.example', path: 'other' }),
    ];
    const first = make[0]();
    first.request({ type: 'publish', channel: 'x', data: 'once' }).catch(() => {});
    await settled();
    first.close();
    for (const other of [make[1](), make[2]()]) {
      const restored = record(other, 'restored');
      other.connect();
      await settle();
      assert.deepEqual(restored, []);
      other.close();
    }
    assert.equal(store.stored.size, 1);
  });

  test('by an older client, which did not keep for which room, is handed back and never sent', async () => {
    const { server, store, settle, room, fate } = setting();
    store.stored.set('a', { id: 'a', message: { type: 'chat', text: 'whither?' } });
    store.stored.set('b', { id: 'b', message: { type: 'chat', text: 'perhaps there' }, sentAt: 1 });
    const chat = room('hall', undefined, { outbox: new Outbox(store) });
    const restored = record(chat, 'restored');
    chat.connect();
    await settle();
    assert.deepEqual(restored.map(({ message }) => message.text), ['whither?', 'perhaps there']);
    assert.deepEqual([await fate(restored[0].reply), await fate(restored[1].reply)], ['unsent', 'unconfirmed']);
    assert.equal(server.executed.size, 0);
    assert.equal(store.stored.size, 0);
  });

  test('by nobody knows whom is handed back where the server tells who this is, and sent where it cannot', async () => {
    for (const old of [false, true]) {
      const { server, store, settle, room, fate } = setting({ old });
      const page = room('hall', 'opaque', { outbox: new Outbox(store) });
      page.say('of whom?').catch(() => {});
      await settled();
      page.close();
      const chat = room('hall', 'opaque', { outbox: new Outbox(store) });
      const restored = record(chat, 'restored');
      chat.connect();
      await settle();
      assert.equal(await fate(restored[0].reply), old ? 'done' : 'unsent');
      assert.equal(server.executed.get('of whom?'), old ? 1 : undefined);
    }
  });

  test('by the user that the application names is that user’s, whatever the token is', async () => {
    const { server, store, settle, room } = setting();
    const page = room('hall', 'opaque', { outbox: new Outbox(store), user: 'ada' });
    page.say('of ada').catch(() => {});
    await settled();
    page.close();
    for (const user of ['bob', 'ada']) {
      const chat = room('hall', 'opaque', { outbox: new Outbox(store), user });
      chat.connect();
      await settle();
      assert.equal(server.executed.get('of ada'), user === 'ada' ? 1 : undefined);
      chat.close();
    }
  });
});

describe('without an outbox, what waits', () => {
  test('for one room is not said in another', async () => {
    const { server, settle, room, fate } = setting();
    const chat = room('secret');
    const said = kept(chat.say('only for secret'));
    chat.roomId = 'public';
    chat.connect();
    const here = kept(chat.say('for the public'));
    await settle();
    assert.equal(await fate(said), 'unsent');
    assert.equal(await fate(here), 'done');
    assert.deepEqual([...server.executed.keys()], ['for the public']);
  });

  test('for one user is not said by another', async () => {
    const { server, settle, room, fate } = setting();
    const chat = room('hall', jwt({ id: 'ada' }));
    const said = kept(chat.say('of ada'));
    chat.token = jwt({ id: 'bob' });
    const other = kept(chat.say('of bob'));
    chat.connect();
    await settle();
    assert.equal(await fate(said), 'unsent');
    assert.equal(await fate(other), 'done');
    assert.deepEqual([...server.executed.keys()], ['of bob']);
  });

  test('for a user whom only the token function knows is not said by that of another function', async () => {
    const { server, settle, room, fate } = setting();
    const chat = room('hall', async () => jwt({ id: 'ada' }));
    const said = kept(chat.say('of ada'));
    chat.connect();
    const meanwhile = kept(chat.say('of ada too'));
    chat.token = async () => jwt({ id: 'bob' });
    await settle();
    assert.deepEqual([await fate(said), await fate(meanwhile)], ['unsent', 'unsent']);
    assert.equal(await fate(chat.say('of bob')), 'done');
    assert.deepEqual(server.said.map(({ text, by }) => [text, by]), [['of bob', 'bob']]);
  });

  test('and went out is unconfirmed when the user is another one', async () => {
    const { w, settle, room, fate } = setting();
    const chat = room('hall', jwt({ id: 'ada' }));
    chat.connect();
    await settle();
    const said = kept(chat.say('of ada'));
    w.links.at(-1).break();
    chat.token = jwt({ id: 'bob' });
    w.clock.advance(500);
    await settle();
    assert.equal(await fate(said), 'unconfirmed');
  });

  for (const [how, token] of [
    ['a text', (chat, n) => (chat.token = jwt({ id: 'ada', n }))],
    ['of a function', () => {}],
  ]) {
    test(`goes out with a renewed token of the same user, ${how}`, async () => {
      const { w, settle, room, fate } = setting();
      let n = 0;
      const chat = room('hall', how === 'a text' ? jwt({ id: 'ada' }) : async () => jwt({ id: 'ada', n: (n += 1) }));
      chat.connect();
      await settle();
      w.links.at(-1).break();
      const said = kept(chat.say('of ada'));
      token(chat, 7);
      w.clock.advance(500);
      await settle();
      assert.equal(await fate(said), 'done');
    });
  }

  for (const [next, wanted] of [['ada', 'done'], ['bob', 'unsent']]) {
    test(`with a session that only the server knows is ${wanted} when ${next} comes back`, async () => {
      // As with a cookie: the same opaque token is another user.
      let user = 'ada';
      const { w, settle, room, fate } = setting({ userOfToken: () => user });
      const chat = room('hall', 'cookie');
      chat.connect();
      await settle();
      w.links.at(-1).break();
      const said = kept(chat.say('of ada'));
      user = next;
      w.clock.advance(500);
      await settle();
      assert.equal(await fate(said), wanted);
      assert.equal(await fate(chat.say('now')), 'done');
    });
  }
});

test('an address function gives the place when it is asked, and what waits goes there', async () => {
  const { w, settle, fate } = setting();
  let room = 'a';
  const client = new Client(async () => `/chat/${room}?token=ada`.replace(/^/, 'ws://server.example'), w.options);
  const first = kept(client.request({ type: 'chat', text: 'first' }));
  client.connect();
  await settle();
  assert.equal(await fate(first), 'done');
  w.links.at(-1).break();
  const second = kept(client.request({ type: 'chat', text: 'second' }));
  room = 'b';
  w.clock.advance(500);
  await settle();
  assert.equal(await fate(second), 'unsent');
});
