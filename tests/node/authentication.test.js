// docs/guide/src/wire.md, "Authentication" and "Private chat", with the announcements of who comes and goes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Server } from '../support/server.js';
import { Socket, timeless } from '../support/socket.js';
import { seconds, sign, token, unsigned, user } from '../support/token.js';

/** @type {Server} */
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

const claims = { ...user('eve'), exp: seconds(600) };
const [head, payload, signature] = sign(claims).split('.');
const BAD_TOKENS = {
  malformed: 'your-jwt-token',
  'of two parts': `${head}.${payload}`,
  'without signature': `${head}.${payload}.`,
  'signed with another key': sign(claims, { secret: 'another secret, also thirty-two bytes long' }),
  'with other claims than those signed': sign(claims).replace(
    payload,
    Buffer.from(JSON.stringify({ ...claims, id: 'root' })).toString('base64url'),
  ),
  expired: sign({ ...claims, exp: seconds(-600) }),
  'not yet valid': sign({ ...claims, nbf: seconds(600) }),
  'of another algorithm': sign(claims, { alg: 'HS512', hash: 'sha512' }),
  'of the algorithm none': unsigned(claims, 'none'),
  'of the algorithm None, with the signature left': `${unsigned(claims, 'None')}${signature}`,
  'without an end': sign(user('eve')),
  'without an id': sign({ email: 'eve@example.com', exp: seconds(600) }),
};

for (const endpoint of ['/private-chat/den', '/chat/den', '/live']) {
  describe(endpoint, () => {
    test('a client without a token is told so and closed with 1008', async () => {
      const socket = await Socket.connect(server.ws(endpoint));
      assert.deepEqual(await socket.json(), { type: 'error', code: 'authentication-required', message: 'Authentication required' });
      assert.deepEqual(await socket.closed(), { code: 1008, reason: 'Authentication required' });
    });

    for (const [name, bad] of Object.entries(BAD_TOKENS)) {
      test(`a token ${name} is told to be invalid and its client closed with 1008`, async () => {
        const socket = await Socket.connect(`${server.ws(endpoint)}?token=${bad}`);
        assert.deepEqual(await socket.json(), { type: 'error', code: 'invalid-token', message: 'Invalid token' });
        assert.deepEqual(await socket.closed(), { code: 1008, reason: 'Invalid token' });
      });
    }
  });
}

test('the token may come in the header, and the one in the query goes first', async () => {
  const options = { headers: { authorization: `Bearer ${token('header')}` } };
  const header = await Socket.connect(server.ws('/private-chat/header'), options);
  assert.deepEqual(await header.json(), {
    type: 'authenticated',
    user: user('header'),
    roomId: 'header',
  });
  const both = await Socket.connect(server.as('/private-chat/query', 'query'), options);
  assert.deepEqual((await both.json()).user, user('query'));
  const badHeader = await Socket.connect(server.ws('/private-chat/header'), {
    headers: { authorization: 'Bearer nonsense' },
  });
  assert.deepEqual(await badHeader.json(), { type: 'error', code: 'invalid-token', message: 'Invalid token' });
});

test('the members of a private room see who says what, who comes and who goes', async () => {
  // An id is a number or a string, as in the token.
  const ada = await Socket.connect(server.as('/private-chat/lounge', 7));
  assert.deepEqual(await ada.json(), { type: 'authenticated', user: user(7), roomId: 'lounge' });

  const bob = await Socket.connect(server.as('/private-chat/lounge', 'bob'));
  assert.deepEqual(await bob.json(), { type: 'authenticated', user: user('bob'), roomId: 'lounge' });
  assert.deepEqual(await ada.json(), {
    type: 'user-joined',
    message: 'User joined room lounge',
    userCount: 2,
  });

  ada.send({ text: 'hi' });
  for (const socket of [ada, bob]) {
    assert.deepEqual(timeless(await socket.json()), {
      type: 'chat-message',
      message: 'hi',
      user: user(7),
    });
  }

  bob.send('no json');
  assert.deepEqual(await bob.json(), { type: 'error', code: 'invalid-format', message: 'Invalid message format' });

  const left = { type: 'user-left', message: 'User left room lounge', userCount: 1 };
  await bob.close();
  assert.deepEqual(await ada.json(), left);

  // Dying without a close frame is leaving as well.
  const carol = await Socket.connect(server.as('/private-chat/lounge', 'carol'));
  await carol.json();
  assert.equal((await ada.json()).type, 'user-joined');
  carol.cut();
  assert.deepEqual(await ada.json(), left);
});

test('a room that everybody has left starts again from one member', async () => {
  for (let round = 0; round < 2; round += 1) {
    const ada = await Socket.connect(server.as('/private-chat/cellar', 'ada'));
    // Another node may still count the one that has just left.
    for (let { userCount } = await ada.json(); userCount > 1; ) ({ userCount } = await ada.json());
    const bob = await Socket.connect(server.as('/private-chat/cellar', 'bob'));
    assert.equal((await ada.json()).userCount, 2);
    await bob.close();
    assert.equal((await ada.json()).userCount, 1);
    await ada.close();
  }
});
