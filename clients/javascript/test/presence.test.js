import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { LiveClient, Presence } from '../src/index.js';
import { PresenceState } from '../src/presence-state.js';
import { ContractServer } from '../testing/contract-server.js';
import { linkedWorld } from '../testing/linked-world.js';
import { record, settled, world } from './kit/world.js';

const ada = { id: 'ada', email: 'ada@example.org' };
const bob = { id: 7, email: 'bob@example.org' };
const device = (id, data) => ({ id, since: '2026-01-31T09:05:07.123Z', ...(data && { data }) });
const on = (user, ...devices) => ({ user, devices: devices.map((id) => (typeof id === 'string' ? device(id) : id)) });
const diff = (version, change) => ({ type: 'presence-diff', channel: 'c', version, joined: [], left: [], updated: [], ...change });
const snapshot = (version, ...members) => ({ type: 'presence', channel: 'c', version, members });

describe('a list of members', () => {
  test('is the snapshot, changed by what comes after it', () => {
    const list = new PresenceState();
    assert.equal(list.snapshot(snapshot(3, on(ada, 'a1'))), null);
    assert.ok(list.diff(diff(4, { joined: [on(bob, 'b1'), on(ada, 'a2')] })));
    assert.deepEqual(list.list, [on(ada, 'a1', 'a2'), on(bob, 'b1')]);
    assert.ok(list.diff(diff(5, { updated: [on(ada, device('a1', { away: true }))] })));
    assert.deepEqual(list.list[0], on(ada, device('a1', { away: true }), 'a2'));
    assert.ok(list.diff(diff(6, { left: [{ user: ada, device: 'a1' }, { user: bob, device: 'b1' }] })));
    assert.deepEqual(list.list, [on(ada, 'a2')]);
  });

  test('takes changes that come before their snapshot, and drops those that are in it', () => {
    const list = new PresenceState();
    list.diff(diff(2, { joined: [on(bob, 'b1')] }));
    list.diff(diff(3, { joined: [on(bob, 'b2')] }));
    list.diff(diff(4, { left: [{ user: ada, device: 'a1' }] }));
    assert.deepEqual(list.list, []);
    assert.equal(list.snapshot(snapshot(3, on(ada, 'a1'), on(bob, 'b1', 'b2'))), null);
    assert.deepEqual(list.list, [on(bob, 'b1', 'b2')]);
    assert.ok(list.diff(diff(4, { left: [{ user: bob, device: 'b1' }] })), 'an old one again');
    assert.deepEqual(list.list, [on(bob, 'b1', 'b2')]);
  });

  test('asks for a snapshot when a change is missing, and stays as it was until then', () => {
    const list = new PresenceState();
    list.snapshot(snapshot(1, on(ada, 'a1')));
    assert.equal(list.diff(diff(3, { joined: [on(bob, 'b1')] })), false);
    assert.deepEqual(list.list, [on(ada, 'a1')]);
    assert.ok(list.diff(diff(4, { joined: [on(bob, 'b2')] })));
    assert.equal(list.snapshot(snapshot(2, on(ada, 'a2'))), null);
    assert.deepEqual(list.list, [on(ada, 'a2'), on(bob, 'b1', 'b2')]);
  });

  test('takes a snapshot in pages, with the changes between them, and shows it when it is whole', () => {
    const list = new PresenceState();
    list.snapshot(snapshot(1, on(ada, 'old')));
    list.forget();
    const before = list.list;
    assert.equal(list.snapshot({ ...snapshot(4, on(ada, 'a1'), on(bob, 'b1')), after: 0, next: 2 }), 2);
    // One that is known has left, one that is not known has left, and one has changed before its page.
    const left = [{ user: bob, device: 'b1' }, { user: bob, device: 'b2' }];
    assert.ok(list.diff(diff(5, { left, updated: [on(ada, device('a2', 7))] })));
    assert.equal(list.list, before);
    assert.equal(list.snapshot({ ...snapshot(5, on(ada, device('a2', 7)), on(bob, 'b3')), after: 2, next: 5 }), 5);
    assert.equal(list.snapshot({ ...snapshot(5, on(ada, 'a3')), after: 5 }), null);
    assert.deepEqual(list.list, [on(ada, 'a1', device('a2', 7), 'a3'), on(bob, 'b3')]);
    assert.ok(list.diff(diff(6, { left: [{ user: bob, device: 'b3' }] })));
    assert.deepEqual(list.list, [on(ada, 'a1', device('a2', 7), 'a3')]);
  });

  test('begins again where a page is of another moment, and leaves out the pages of others', () => {
    const list = new PresenceState();
    assert.equal(list.snapshot({ ...snapshot(1, on(ada, 'a1')), after: 0, next: 1 }), 1);
    assert.equal(list.snapshot({ ...snapshot(1, on(ada, 'a1')), after: 0, next: 1 }), null, 'the same once more');
    assert.equal(list.snapshot({ ...snapshot(1, on(bob, 'b9')), after: 7 }), null, 'of somebody who is further');
    assert.equal(list.snapshot({ ...snapshot(3, on(bob, 'b1')), after: 1 }), 0);
    assert.deepEqual(list.list, []);
    assert.equal(list.snapshot({ ...snapshot(3, on(bob, 'b1')), after: 1 }), null);
    assert.equal(list.snapshot({ ...snapshot(3, on(ada, 'a1')), after: 0, next: 1 }), 1);
    // One who knows no pages is told the whole of it.
    assert.equal(list.snapshot(snapshot(3, on(ada, 'a1'), on(bob, 'b1'))), null);
    assert.deepEqual(list.list, [on(ada, 'a1'), on(bob, 'b1')]);
  });

  test('stays the same array while nothing changes, and cannot be changed from outside', () => {
    const list = new PresenceState();
    list.snapshot(snapshot(1, on(ada, 'a1')));
    const before = list.list;
    list.diff(diff(1, { left: [{ user: ada, device: 'a1' }] }));
    assert.equal(list.list, before);
    assert.ok(Object.isFrozen(before));
  });

  test('survives one who leaves twice, and lists that are none', () => {
    const list = new PresenceState();
    list.snapshot({ type: 'presence', channel: 'c', version: 1 });
    assert.ok(list.diff({ type: 'presence-diff', channel: 'c', version: 2, left: [{ user: bob, device: 'b1' }] }));
    assert.deepEqual(list.list, []);
  });
});

describe('presence', () => {
  /** Somebody in the channel `c` of a server. */
  function enter(w, token) {
    const live = new LiveClient(token, w.options);
    const presence = new Presence(live, 'c');
    live.connect();
    w.settle();
    return { live, presence, names: () => presence.members.map(({ user, devices }) => `${user.id} ${devices.length}`) };
  }

  test('lists who comes and goes, with their devices', () => {
    const w = linkedWorld(new ContractServer());
    const one = enter(w, 'ada.1');
    const two = enter(w, 'bob.1');
    const three = enter(w, 'ada.2');
    for (const { names } of [one, three]) assert.deepEqual(names(), ['ada 2', 'bob 1']);
    assert.deepEqual(two.names().sort(), ['ada 2', 'bob 1']);
    const changes = record(two.presence, 'change');
    one.live.close();
    w.settle();
    assert.deepEqual(two.names(), ['ada 1', 'bob 1']);
    assert.equal(changes.length, 1);
  });

  test('of a large channel is asked for page by page, by each list for itself', () => {
    const w = linkedWorld(new ContractServer({ pageSize: 2 }));
    const all = ['ada.1', 'bob.1', 'ada.2', 'cy.1', 'bob.2', 'ada.3', 'dee.1'].map((token) => enter(w, token));
    const expected = ['ada 3', 'bob 2', 'cy 1', 'dee 1'];
    for (const { names } of all) assert.deepEqual(names().sort(), expected);
    // Two lists on one connection.
    const second = new Presence(all[0].live, 'c');
    w.settle();
    assert.equal(second.members.length, 4);
    assert.deepEqual(all[0].names().sort(), expected);
    w.links[3].break();
    w.settle();
    w.clock.advance(500);
    w.settle();
    for (const { names } of all) assert.deepEqual(names().sort(), expected);
  });

  test('waits as long as it is told before it asks for the next page', async () => {
    const w = world();
    const live = new LiveClient('jwt', w.options);
    const presence = new Presence(live, 'c');
    live.connect();
    w.socket.open();
    w.socket.receive({ type: 'subscribed', channel: 'c', id: w.socket.sent[0].id, epoch: 'e', offset: 0 });
    const asked = () => w.socket.sent.filter(({ type }) => type === 'presence');
    const [first] = asked();
    assert.equal(first.after, 0);
    w.socket.receive({ ...snapshot(1, on(ada, 'a1')), after: 0, next: 9, id: first.id });
    const [, second] = asked();
    assert.equal(second.after, 9);
    w.socket.receive({ type: 'error', code: 'rate-limited', message: 'Rate limit exceeded', retryAfterMs: 3_000, id: second.id });
    w.clock.advance(2_999);
    assert.equal(asked().length, 2);
    w.clock.advance(1);
    assert.deepEqual(asked().slice(2), [second]);
    assert.deepEqual(presence.members, []);
    w.socket.receive({ ...snapshot(1, on(bob, 'b1')), after: 9, id: second.id });
    await settled();
    assert.deepEqual(presence.members, [on(ada, 'a1'), on(bob, 'b1')]);
    assert.equal(asked().length, 3);
  });

  test('tells the others about this device, and again on a new connection', () => {
    const w = linkedWorld(new ContractServer());
    const one = enter(w, 'ada');
    const two = enter(w, 'bob');
    const statusOfAda = () => two.presence.members.find(({ user }) => user.id === 'ada')?.devices[0].data;
    one.presence.update({ status: 'away' });
    w.settle();
    assert.deepEqual(statusOfAda(), { status: 'away' });
    w.links[0].break();
    w.settle();
    assert.deepEqual(two.names(), ['bob 1']);
    w.clock.advance(500);
    w.settle();
    assert.deepEqual(statusOfAda(), { status: 'away' });
    assert.deepEqual(one.names().sort(), ['ada 1', 'bob 1']);
  });

  test('of another channel is another affair, and a closed one hears nothing more', () => {
    const w = linkedWorld(new ContractServer());
    const one = enter(w, 'ada');
    const changes = record(one.presence, 'change');
    new Presence(one.live, 'd');
    w.settle();
    assert.deepEqual(one.names(), ['ada 1']);
    one.presence.close();
    enter(w, 'bob');
    assert.deepEqual(changes, []);
  });

  test('of a channel that has none is refused', async () => {
    const w = world();
    const live = new LiveClient('jwt', w.options);
    const posts = new Presence(live, 'posts');
    live.connect();
    w.socket.open();
    const refusals = record(posts, 'refused');
    const errors = record(live, 'error');
    w.socket.receive({ type: 'subscribed', channel: 'posts', id: w.socket.sent[0].id, epoch: 'e', offset: 0 });
    w.socket.receive({ type: 'error', code: 'no-presence', message: 'No presence in this channel', id: w.socket.sent[1].id });
    await settled();
    assert.deepEqual(refusals.map(({ message }) => message), ['No presence in this channel']);
    assert.deepEqual(errors, []);
  });

  test('data that JSON cannot say is refused, and everything else goes on', async () => {
    const w = linkedWorld(new ContractServer());
    const one = enter(w, 'ada');
    const refusals = record(one.presence, 'refused');
    one.presence.update({ n: 1n });
    await settled();
    assert.deepEqual(refusals.map(({ code }) => code), ['invalid-message']);
    w.settle();
    assert.deepEqual(one.names(), ['ada 1']);
  });

  test('of a subscription is that of its channel', () => {
    const w = linkedWorld(new ContractServer());
    const { live, names } = enter(w, 'ada');
    const presence = new Presence(live.subscribe('c'));
    w.settle();
    assert.deepEqual(presence.members.map(({ user }) => user.id), ['ada']);
    presence.update({ status: 'away' });
    w.settle();
    assert.deepEqual(presence.members[0].devices[0].data, { status: 'away' });
    assert.deepEqual(names(), ['ada 1']);
  });

  test('of a server that knows nothing of it is empty, and no error', () => {
    const w = world();
    const live = new LiveClient('jwt', w.options);
    const errors = record(live, 'error');
    const presence = new Presence(live, 'c');
    live.connect();
    w.socket.open();
    w.socket.receive({ type: 'subscribed', channel: 'c' });
    assert.deepEqual(presence.members, []);
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['subscribe']);
    assert.deepEqual(errors, []);
  });
});
