import assert from 'node:assert/strict';
import { test } from 'node:test';

const { InspectApi } = await import('../../page/inspect-api.js');
const { HttpError } = await import('../../page/http.js');

const START = Date.UTC(2026, 0, 31);
const KEY = 'the admin key';

/** An API whose server is played, with a clock that stands still. */
function played({ access = 'key', stored = null } = {}) {
  const world = { key: KEY, down: false, now: START, asked: [], tickets: 0, store: stored, access };
  const store = { get: () => world.store, set: (_, value) => void (world.store = value) };
  const request = async (method, path, { token } = {}) => {
    world.asked.push(`${method} ${path} ${token}`);
    if (world.down) throw new HttpError('unreachable', 'The server cannot be reached.');
    if (path === '/api/inspect' && access === 'none') throw new HttpError('refused', '404');
    if (path === '/api/inspect') return { access };
    if (path === '/api/inspect/token') {
      if (access === 'key' && token !== world.key) throw new HttpError('unauthorized', 'Invalid key');
      world.tickets += 1;
      return { token: `ticket ${world.tickets}`, expiresAt: new Date(world.now + 600_000).toISOString() };
    }
    if (token === world.refuse) throw new HttpError('unauthorized', 'Invalid token');
    return { rooms: [] };
  };
  return { world, api: new InspectApi(store, () => world.now, request) };
}

test('in development mode tickets come without a key', async () => {
  const { api, world } = played({ access: 'open' });
  assert.equal(await api.access(), 'open');
  assert.equal(api.canEnter, true);
  assert.deepEqual(await Promise.all([api.ticket(), api.ticket()]), ['ticket 1', 'ticket 1']);
  world.now += 545_000;
  assert.equal(await api.ticket(), 'ticket 2');
});

test('with a key, the key is asked for once and kept in no storage', async () => {
  const { api, world } = played();
  assert.equal(await api.access(), 'key');
  assert.equal(api.canEnter, false);
  await assert.rejects(api.ticket(), { code: 'unauthorized' });
  await assert.rejects(api.enter('another'), { code: 'unauthorized' });
  assert.equal(api.canEnter, false);
  await api.enter(` ${KEY}\n`);
  assert.equal(await api.ticket(), 'ticket 1');
  assert.equal(world.store.includes(KEY), false);
  world.now += 700_000;
  assert.equal(await api.ticket(), 'ticket 2');
});

test('after a reload the ticket holds to its end, and then the key is needed', async () => {
  const stored = JSON.stringify({ token: 'ticket 9', expiresAt: START + 30_000 });
  const { api, world } = played({ stored });
  await api.access();
  assert.equal(api.canEnter, true);
  assert.equal(await api.ticket(), 'ticket 9');
  world.now += 30_000;
  assert.equal(api.canEnter, false);
  await assert.rejects(api.rooms(), { code: 'unauthorized' });
});

test('a refused ticket is replaced once, where that is possible', async () => {
  const { api, world } = played();
  await api.access();
  await api.enter(KEY);
  world.refuse = 'ticket 1';
  assert.deepEqual(await api.rooms(), []);
  assert.equal(await api.ticket(), 'ticket 2');
  world.refuse = 'ticket 2';
  api.leave();
  await assert.rejects(api.rooms(), { code: 'unauthorized' });
  assert.equal(world.store, null);
});

test('a key that holds no more is not tried again and again, a server that is not reached is', async () => {
  const { api, world } = played();
  await api.access();
  await api.enter(KEY);
  world.now += 600_000;
  world.down = true;
  await assert.rejects(api.ticket(), { code: 'unreachable' });
  world.down = false;
  world.key = 'another';
  await assert.rejects(api.ticket(), { name: 'ClientError', code: 'unauthorized' });
});

test('a server without an inspector says so by having no address for it', async () => {
  assert.equal(await played({ access: 'none' }).api.access(), 'none');
});

test('a stored ticket that is none is as good as none', async () => {
  for (const stored of ['{', '7', '{"token":1}', 'null']) assert.equal(played({ stored }).api.canEnter, false, stored);
});

test('below another path it asks there', async () => {
  const asked = [];
  const request = async (method, path) => {
    asked.push(`${method} ${path}`);
    return path.endsWith('/token') ? { token: 'ticket', expiresAt: new Date(START + 600_000).toISOString() } : { access: 'open', rooms: [] };
  };
  const api = new InspectApi({ get: () => null, set: () => {} }, () => START, request, '/ops');
  await api.access();
  await api.rooms('a');
  assert.deepEqual(asked, ['GET /ops/api/inspect', 'POST /ops/api/inspect/token', 'GET /ops/api/inspect/rooms?node=a']);
});
