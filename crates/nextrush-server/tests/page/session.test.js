import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readToken } from '../../page/token.js';

const { Session } = await import('../../page/session.js');
const { HttpError } = await import('../../page/http.js');

const NOW = Date.UTC(2026, 0, 31);

function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'HS256' })}.${part(claims)}.c2lnbmF0dXJl`;
}

function memory(entries = {}) {
  const map = new Map(Object.entries(entries));
  return {
    map,
    get: (key) => map.get(key) ?? null,
    set: (key, value) => void (value === null ? map.delete(key) : map.set(key, value)),
  };
}

test('a token tells who its bearer is and until when', () => {
  const text = token({ id: 7, email: 'größe@example.com', exp: 2_000_000_000 });
  const identity = { token: text, user: { id: 7, email: 'größe@example.com' }, expiresAt: 2_000_000_000_000 };
  assert.deepEqual(readToken(text), identity);
  assert.deepEqual(readToken(`  Bearer ${text}\n`), identity);
  assert.equal(readToken(token({ id: 'a', email: 'a@b' }))?.expiresAt, null);
});

test('what is no token is none', () => {
  const text = token({ id: 'ada', email: 'ada@example.com' });
  for (const wrong of ['', 'abc', 'a.b', 'a.b.c', '..', text.split('.').slice(0, 2).join('.'), token({ email: 'x' }), token({ id: {}, email: 'x' }), token({ id: 1 }), token(null), token([])]) {
    assert.equal(readToken(wrong), null, wrong);
  }
});

test('a session survives a reload of its tab', () => {
  const store = memory();
  const session = new Session(store, () => NOW);
  let changes = 0;
  session.addEventListener('change', () => (changes += 1));
  session.signIn(token({ id: 'ada', email: 'ada@example.com' }));
  assert.equal(changes, 1);
  assert.equal(new Session(store, () => NOW).identity?.user.id, 'ada');
});

test('who signs out leaves no token behind', () => {
  const store = memory({ token: token({ id: 'ada', email: 'ada@example.com' }) });
  const session = new Session(store, () => NOW);
  session.signOut();
  assert.equal(session.identity, null);
  assert.equal(store.map.size, 0);
});

test('an expired token neither signs in nor keeps a session', () => {
  const expired = token({ id: 'ada', email: 'ada@example.com', exp: NOW / 1000 });
  const session = new Session(memory({ token: expired }), () => NOW);
  assert.equal(session.identity, null);
  assert.throws(() => session.signIn(expired), /expired/);
  assert.equal(session.identity, null);
});

const ada = (exp, id = 'ada') => token({ id, email: `${id}@localhost`, exp: NOW / 1000 + exp });

/** A session of somebody whose tokens the server mints, and how often it did. */
async function minted(lives, options = {}) {
  const store = memory();
  const names = [];
  const session = new Session(store, () => NOW, async (name) => {
    names.push(name);
    return options.answer ?? ada(lives.shift());
  });
  await session.signInAs('Ada');
  let changes = 0;
  session.addEventListener('change', () => (changes += 1));
  return { session, names, changed: () => changes, store };
}

test('a token that lasts is handed out as it is', async () => {
  const { session, names } = await minted([3_600]);
  assert.equal(await session.token(), ada(3_600));
  assert.deepEqual(names, ['Ada']);
});

test('a token that is about to end is replaced by one of the same user, asked for once', async () => {
  const { session, names, changed } = await minted([60, 3_600]);
  const tokens = await Promise.all([session.token(), session.token()]);
  assert.deepEqual(tokens, [ada(3_600), ada(3_600)]);
  assert.deepEqual(names, ['Ada', 'ada']);
  assert.equal(changed(), 0);
  assert.equal(session.identity.token, ada(3_600));
});

test('a token that the server refused is replaced, also after a reload of the tab', async () => {
  const { session, store } = await minted([3_600, 7_200]);
  session.refused();
  assert.equal(await session.token(), ada(7_200));
  const again = new Session(store, () => NOW, async () => ada(9_000));
  again.refused();
  assert.equal(await again.token(), ada(9_000));
});

test('a token that was given and not minted is handed out until it ends or is refused', async () => {
  const session = new Session(memory(), () => NOW, () => assert.fail('nobody asked for a token'));
  await assert.rejects(session.token(), { code: 'unauthorized' });
  session.signIn(ada(60));
  assert.equal(await session.token(), ada(60));
  session.refused();
  await assert.rejects(session.token(), { code: 'unauthorized' });
});

test('a new token of somebody else is none', async () => {
  const { session } = await minted([60], {});
  const other = new Session(memory({ token: ada(60), minted: 'yes' }), () => NOW, async () => ada(60, 'eve'));
  await assert.rejects(other.token(), { code: 'unauthorized' });
  assert.equal(session.identity.user.id, 'ada');
});

test('a server that mints no tokens any more ends the session, one that is not reached does not', async () => {
  for (const [cause, code] of [['refused', 'unauthorized'], ['unreachable', 'unreachable']]) {
    const store = memory({ token: ada(60), minted: 'yes' });
    const session = new Session(store, () => NOW, () => Promise.reject(new HttpError(cause, cause)));
    await assert.rejects(session.token(), { code });
  }
});
