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
const { useChat, useClient, useConnection, usePresence, useSubscription } = await import('nextrush-client/react');
const { ContractServer } = await import('./kit/contract-server.js');
const { linkedWorld } = await import('./kit/linked-world.js');

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

function setting() {
  const server = new ContractServer();
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
  const page = await render(() => usePresence(client, 'c').map(({ user }) => user.id).join(' '));
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
