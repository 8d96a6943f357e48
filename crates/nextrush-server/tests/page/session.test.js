import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Session } from '../../page/session.js';
import { readToken } from '../../page/token.js';

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
