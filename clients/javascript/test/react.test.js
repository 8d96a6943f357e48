import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';

import { Window } from 'happy-dom';

// React looks for a document when it is loaded.
const window = new Window();
for (const [name, value] of Object.entries({
  window,
  document: window.document,
  navigator: window.navigator,
  IS_REACT_ACT_ENVIRONMENT: true,
})) {
  Object.defineProperty(globalThis, name, { value, configurable: true });
}
const { StrictMode, act, createElement: h } = await import('react');
const { createRoot } = await import('react-dom/client');
const { ChatClient, LiveClient } = await import('nextrush-client');
const { useChat, useClient, useConnection, useLatest, usePresence, useSubscription, useTyping } = await import(
  'nextrush-client/react'
);
const { ContractServer } = await import('../testing/contract-server.js');
const { linkedWorld } = await import('../testing/linked-world.js');

const roots = new Set();
afterEach(async () => {
  for (const { unmount } of [...roots]) await unmount();
});
after(() => window.happyDOM.close());

/** Renders in Strict Mode, which mounts everything twice. */
async function render(component, props) {
  const container = document.createElement('div');
  const root = createRoot(container);
  const show = (next) => act(async () => root.render(h(StrictMode, null, h(component, next))));
  await show(props);
  const rendered = {
    show,
    text: () => container.textContent,
    unmount: async () => {
      roots.delete(rendered);
      await act(async () => root.unmount());
    },
  };
  roots.add(rendered);
  return rendered;
}

function setting(options) {
  const server = new ContractServer(options);
  const w = linkedWorld(server);
  const settle = () => act(async () => w.settle());
  return { server, w, settle, live: () => new LiveClient('ada', w.options) };
}

describe('useClient', () => {
  test('connects once, shows where it stands, and closes with the component', async () => {
    const { w, settle, live } = setting();
    let client;
    const page = await render(() => {
      client = useClient(live);
      const { state, reason } = useConnection(client);
      return `${state} ${reason}`;
    });
    assert.equal(page.text(), 'connecting connect');
    await settle();
    assert.equal(page.text(), 'connected opened');
    assert.equal(w.links.length, 1, 'mounting twice opens one connection');
    await page.unmount();
    assert.equal(client.state, 'closed');
    assert.equal(w.clock.pending, 0);
  });

  test('keeps its client through renderings', async () => {
    const { w, live } = setting();
    const seen = new Set();
    const page = await render(() => {
      seen.add(useClient(live));
      return null;
    }, { n: 1 });
    const { size } = seen;
    await page.show({ n: 2 });
    assert.equal(seen.size, size);
    assert.equal(w.links.length, 1);
  });
});

describe('useSubscription', () => {
  test('hears what is published, with the listeners of the latest rendering', async () => {
    const { server, settle, live } = setting();
    const client = live();
    client.connect();
    const heard = [];
    const Page = ({ name }) => {
      const { state } = useSubscription(client, 'news', {
        onUpdate: ({ data }) => heard.push(`${name} ${data}`),
      });
      return state;
    };
    const page = await render(Page, { name: 'a' });
    assert.equal(page.text(), 'subscribing');
    await settle();
    assert.equal(page.text(), 'subscribed');
    server.publish('news', 1);
    await settle();
    await page.show({ name: 'b' });
    server.publish('news', 2);
    await settle();
    assert.deepEqual(heard, ['a 1', 'b 2']);
  });

  test('leaves the channel with the last component that listens', async () => {
    const { server, settle, live } = setting();
    const client = live();
    client.connect();
    const Page = ({ channel }) => useSubscription(client, channel).state;
    const one = await render(Page, { channel: 'news' });
    const two = await render(Page, { channel: 'news' });
    await settle();
    await one.unmount();
    await settle();
    assert.equal(server.subscribers('news'), 1);
    await two.show({ channel: 'other' });
    await settle();
    assert.equal(server.subscribers('news'), 0);
    assert.equal(server.subscribers('other'), 1);
  });

  test('tells gaps', async () => {
    const { server, settle, live } = setting();
    const client = live();
    client.connect();
    const gaps = [];
    await render(() => {
      useSubscription(client, 'news', { onGap: ({ from, to }) => gaps.push([from, to]) });
      return null;
    });
    await settle();
    server.lose('news', 1);
    await settle();
    assert.deepEqual(gaps, [[1, 1]]);
  });
});

describe('useSubscription', () => {
  /** A page that shows what the hook gives, and keeps what it tells. */
  async function subscribed(options = {}, serverOptions = {}) {
    const it = setting(serverOptions);
    const client = it.live();
    client.connect();
    const told = [];
    const tell = (name) => (event) => told.push([name, event.data ?? event.missed ?? event.reason]);
    const listeners = {
      onUpdate: tell('update'),
      onInitial: tell('initial'),
      onGap: tell('gap'),
      onRecovered: tell('recovered'),
    };
    const Page = (props) => {
      const { state, error, recovered } = useSubscription(client, 'channel' in props ? props.channel : 'news', {
        ...listeners,
        ...props,
      });
      return `${state} ${error?.refusal} ${recovered}`;
    };
    const page = await render(Page, options);
    await it.settle();
    const comeBack = async () => {
      await act(async () => it.w.clock.advance(1_000));
      await it.settle();
    };
    return { ...it, client, told, page, comeBack };
  }

  test('begins where it is told to', async () => {
    const { server, settle, live } = setting();
    const other = live();
    other.connect();
    const position = other.subscribe('news');
    await settle();
    const { epoch, offset } = position.position;
    server.publish('news', 'between');
    const told = [];
    await render(() => useSubscription(other, 'news', {}).state);
    const client = live();
    client.connect();
    await render(() => {
      const { state } = useSubscription(client, 'news', {
        since: { epoch, offset },
        onUpdate: ({ data }) => told.push(data),
      });
      return state;
    });
    await settle();
    assert.deepEqual(told, ['between']);
  });

  test('listens to nothing while it is not enabled, or has no channel', async () => {
    const { server, page, settle } = await subscribed({ enabled: false });
    assert.equal(page.text(), 'unsubscribed undefined undefined');
    assert.deepEqual(server.channels, []);
    await page.show({ enabled: true });
    await settle();
    assert.equal(page.text(), 'subscribed undefined undefined');
    for (const channel of [null, undefined]) {
      await page.show({ channel });
      await settle();
      assert.equal(page.text(), 'unsubscribed undefined undefined');
      assert.deepEqual(server.channels, []);
    }
  });

  test('says why it was refused, also to who comes later', async () => {
    const { client, page } = await subscribed({ channel: 'secret' });
    assert.equal(page.text(), 'refused subscribe-refused undefined');
    const later = await render(() => useSubscription(client, 'secret').error?.refusal);
    assert.equal(later.text(), 'subscribe-refused');
  });

  test('says why it was ended', async () => {
    const { server, page, settle } = await subscribed();
    server.kick('ada', 'news');
    await settle();
    assert.equal(page.text(), 'unsubscribed kicked undefined');
  });

  test('tells what came of the time without a connection', async () => {
    const { server, w, told, page, comeBack } = await subscribed();
    await act(async () => w.alive()[0].break());
    server.publish('news', 1);
    await comeBack();
    assert.equal(page.text(), 'subscribed undefined true');
    await act(async () => w.alive()[0].break());
    server.forget('e2');
    await comeBack();
    assert.equal(page.text(), 'subscribed undefined false');
    assert.deepEqual(told, [['recovered', 1], ['update', 1], ['gap', 'epoch']]);
  });

  test('tells the initial state', async () => {
    const { told } = await subscribed({}, { initial: () => 'all' });
    assert.deepEqual(told, [['initial', 'all']]);
  });
});

describe('useLatest', () => {
  test('shows the newest publication, also to who comes later, and that of another channel', async () => {
    const { server, settle, live } = setting({ initial: (channel) => (channel === 'acme' ? 0 : undefined) });
    const client = live();
    client.connect();
    const Page = ({ channel }) => `${useLatest(client, channel).data}`;
    const one = await render(Page, { channel: 'acme' });
    assert.equal(one.text(), 'undefined');
    await settle();
    assert.equal(one.text(), '0');
    server.publish('acme', 7);
    await settle();
    assert.equal(one.text(), '7');
    const two = await render(Page, { channel: 'acme' });
    assert.equal(two.text(), '7');
    await one.show({ channel: 'other' });
    assert.equal(one.text(), 'undefined');
    await settle();
    server.publish('other', 9);
    await settle();
    assert.deepEqual([one.text(), two.text()], ['9', '7']);
  });
});

describe('useTyping', () => {
  test('shows the others who are typing, until six seconds after their last key', async () => {
    const { w, settle, live } = setting();
    const ada = live();
    const bob = new LiveClient('bob', w.options);
    for (const client of [ada, bob]) client.connect();
    const type = {};
    const page = (client, name) =>
      render(() => {
        const { typing, setTyping } = useTyping(client, 'board');
        type[name] = setTyping;
        return typing.map(({ id }) => id).join(' ');
      });
    const [adas, bobs] = [await page(ada, 'ada'), await page(bob, 'bob')];
    await settle();
    await act(async () => type.ada(true));
    await settle();
    assert.deepEqual([adas.text(), bobs.text()], ['', 'ada']);
    const pass = async (ms) => {
      await act(async () => w.clock.advance(ms));
      await settle();
    };
    await pass(5_000);
    await act(async () => type.ada(true));
    await pass(5_999);
    assert.equal(bobs.text(), 'ada');
    await pass(1);
    assert.equal(bobs.text(), '');
    await act(async () => type.bob(true));
    await settle();
    assert.equal(adas.text(), 'bob');
    await act(async () => type.bob(false));
    await settle();
    assert.equal(adas.text(), '');
  });

  test('leaves what the device tells as it is', async () => {
    const { w, settle, live } = setting();
    const ada = live();
    ada.connect();
    const bob = new LiveClient('bob', w.options);
    bob.connect();
    let hooks;
    await render(() => {
      hooks = { ...usePresence(ada, 'board'), ...useTyping(ada, 'board') };
      return null;
    });
    const page = await render(() => {
      const { members } = usePresence(bob, 'board');
      const { devices } = members.find(({ user }) => user.id === 'ada') ?? { devices: [] };
      return devices.map(({ data }) => `${data?.status} ${typeof data?.typing}`).join();
    });
    await settle();
    await act(async () => hooks.update({ status: 'away' }));
    await act(async () => hooks.setTyping(true));
    await settle();
    assert.equal(page.text(), 'away string');
    await act(async () => hooks.setTyping(false));
    await settle();
    assert.equal(page.text(), 'away undefined');
  });
});

test('usePresence is one device for all components of a channel, and says why it has none', async () => {
  const { w, server, settle, live } = setting();
  const client = live();
  client.connect();
  let update;
  const Page = ({ channel }) => {
    const presence = usePresence(client, channel);
    update = presence.update;
    return `${presence.members.map(({ devices }) => JSON.stringify(devices[0].data ?? null)).join()} ${presence.error?.refusal}`;
  };
  const [one, two] = [await render(Page, { channel: 'c' }), await render(Page, { channel: 'c' })];
  await settle();
  await act(async () => update({ x: 1 }));
  await settle();
  assert.deepEqual([one.text(), two.text()], ['{"x":1} undefined', '{"x":1} undefined']);
  assert.equal(w.links.length, 1);
  await act(async () => update('y'.repeat(5_000)));
  await settle();
  assert.deepEqual([one.text(), two.text()], ['{"x":1} too-large', '{"x":1} too-large']);
  await one.unmount();
  await two.show({ channel: null });
  await settle();
  assert.equal(two.text(), ' undefined');
  assert.deepEqual(server.channels, []);
});

test('useChat shows no longer what was deleted', async () => {
  const { w, settle } = setting();
  const chat = new ChatClient('hall', 'ada', w.options);
  chat.handleMessage = () => {};
  chat.connect();
  await settle();
  const page = await render(() => useChat(chat).messages.map(({ text }) => text).join(' '));
  for (const text of ['a', 'b']) void chat.say(text);
  await settle();
  assert.equal(page.text(), 'a b');
  await act(async () => {
    const deleted = { type: 'deleted', offset: 1 };
    chat.accept(deleted);
    chat.deliver(deleted);
  });
  assert.equal(page.text(), 'b');
});

test('usePresence lists who is there', async () => {
  const { w, settle, live } = setting();
  const client = live();
  client.connect();
  const page = await render(() => usePresence(client, 'c').members.map(({ user }) => user.id).join(' '));
  await settle();
  assert.equal(page.text(), 'ada');
  const bob = new LiveClient('bob', w.options);
  bob.subscribe('c');
  bob.connect();
  await settle();
  assert.equal(page.text(), 'ada bob');
  bob.close();
  await settle();
  assert.equal(page.text(), 'ada');
});

test('useChat has what came before its component did', async () => {
  const { w, settle } = setting();
  const chat = new ChatClient('hall', 'ada', w.options);
  chat.handleMessage = () => {};
  chat.connect();
  await settle();
  void chat.say('early');
  await settle();
  const page = await render(() => {
    const { messages, users } = useChat(chat);
    return `${messages.map(({ text }) => text).join(' ')} / ${users.map(({ id }) => id).join(' ')}`;
  });
  assert.equal(page.text(), 'early / ada');
  void chat.say('late');
  await settle();
  assert.equal(page.text(), 'early late / ada');
});

test('useChat has the messages, members and limits of a room', async () => {
  const { w, settle } = setting();
  const page = await render(() => {
    const chat = useClient(() => {
      const made = new ChatClient('hall', 'ada', w.options);
      made.handleMessage = () => {};
      return made;
    });
    const { messages, users } = useChat(chat, { limit: 2 });
    return `${messages.map(({ text }) => text).join(' ')} / ${users.map(({ id }) => id).join(' ')}`;
  });
  await settle();
  assert.equal(page.text(), ' / ada');
  const bob = new ChatClient('hall', 'bob', w.options);
  bob.handleMessage = () => {};
  for (const text of ['a', 'b', 'c']) void bob.say(text);
  bob.connect();
  await settle();
  assert.equal(page.text(), 'b c / ada bob');
});
