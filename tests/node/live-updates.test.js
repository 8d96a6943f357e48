// docs/guide/src/wire.md, "Live updates": `/live` and `/api/posts`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server } from '../support/server.js';
import { Socket, positioned, timeless } from '../support/socket.js';
import { token, user } from '../support/token.js';

/** @type {Server} */
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

const ADA = token('ada');

/**
 * Subscribes, and tells the position of the answer.
 *
 * @param {Socket} socket
 * @param {string} channel
 */
async function subscribe(socket, channel) {
  socket.send({ type: 'subscribe', channel });
  const { rest, position } = positioned(await socket.json());
  assert.deepEqual(rest, { type: 'subscribed', channel });
  return position;
}

/** @param {string} channel */
async function subscriber(channel) {
  const socket = await connect();
  return { socket, ...(await subscribe(socket, channel)) };
}

const connect = () => Socket.connect(server.as('/live', 'bob'));

/** @param {unknown} body */
async function create(body) {
  const { status, body: answer } = await server.request('POST', '/api/posts', { token: ADA, body });
  assert.equal(status, 200);
  return answer;
}

/** @param {string} channel @param {number} offset @param {unknown} data */
const update = (channel, offset, data) => ({ type: 'update', channel, data, offset });

test('a created post is answered and published to posts', async () => {
  const { socket, offset } = await subscriber('posts');
  const answer = await create({ title: 'News', body: 'All is well.' });
  const { id, createdAt, updatedAt, ...post } = answer.post;
  assert.deepEqual(post, { title: 'News', body: 'All is well.', author: user('ada'), version: 1 });
  assert.ok(Number.isSafeInteger(id), `${id}`);
  for (const timestamp of [createdAt, updatedAt]) timeless({ timestamp });
  assert.deepEqual(Object.keys(answer).sort(), ['post', 'success']);
  assert.equal(answer.success, true);

  const published = timeless(await socket.json());
  assert.deepEqual(published, update('posts', offset + 1, { type: 'new-post', post: answer.post }));
});

test('a changed post is answered and published to posts and to its own channel', async () => {
  const { post: old } = await create({ title: 'Draft', body: 'One.' });
  const board = await subscriber('posts');
  const reader = await subscriber(`post-${old.id}`);
  assert.equal(reader.offset, 0, 'nothing was published there');

  const { status, body: answer } = await server.request('PUT', `/api/posts/${old.id}`, {
    token: ADA,
    body: { title: 'Final', body: 'Two.' },
  });
  assert.equal(status, 200);
  const { post } = answer;
  assert.deepEqual(answer, { success: true, post });
  timeless({ timestamp: post.updatedAt });
  assert.deepEqual(post, {
    ...old,
    title: 'Final',
    body: 'Two.',
    updatedAt: post.updatedAt,
    version: 2,
  });

  assert.deepEqual(
    timeless(await board.socket.json()),
    update('posts', board.offset + 1, { type: 'post-updated', post }),
  );
  assert.deepEqual(
    timeless(await reader.socket.json()),
    update(`post-${old.id}`, 1, { type: 'updated', post }),
  );
});

test('a subscriber gets each publication once, and none after it has unsubscribed', async () => {
  const { socket, ...position } = await subscriber('posts');
  assert.deepEqual(await subscribe(socket, 'posts'), position);
  await create({ title: 'Once' });
  assert.equal((await socket.json()).data.post.title, 'Once');

  socket.send({ type: 'unsubscribe', channel: 'posts' });
  assert.deepEqual(await socket.json(), { type: 'unsubscribed', channel: 'posts' });
  await create({ title: 'Unheard' });
  // What comes next is not the post of before, though the position counts it.
  assert.deepEqual(await subscribe(socket, 'posts'), { ...position, offset: position.offset + 2 });
  await create({ title: 'Heard' });
  assert.equal((await socket.json()).data.post.title, 'Heard');
});

test('who comes back with its position gets exactly what it missed', async () => {
  const { socket, epoch, offset } = await subscriber('posts');
  socket.cut();
  for (const title of ['Missed', 'Missed too']) await create({ title });

  const again = await connect();
  again.send({ type: 'subscribe', channel: 'posts', since: { epoch, offset } });
  assert.deepEqual(await again.json(), {
    type: 'subscribed',
    channel: 'posts',
    epoch,
    offset: offset + 2,
    recovered: true,
  });
  await create({ title: 'Live' });
  const titles = ['Missed', 'Missed too', 'Live'];
  for (const [missed, title] of titles.entries()) {
    const { data, ...rest } = timeless(await again.json());
    assert.deepEqual(rest, { type: 'update', channel: 'posts', offset: offset + 1 + missed });
    assert.equal(data.post.title, title);
  }
});

test('a position that cannot be met is answered with the reason, and nothing follows', async () => {
  const { epoch, offset } = await subscriber('posts');
  const cases = [
    ['epoch', { epoch: 'of-another-stream', offset }],
    ['ahead', { epoch, offset: offset + 1_000 }],
  ];
  for (const [reason, since] of cases) {
    const socket = await connect();
    socket.send({ type: 'subscribe', channel: 'posts', since });
    const { rest, position } = positioned(await socket.json());
    assert.deepEqual(rest, { type: 'subscribed', channel: 'posts', recovered: false, reason });
    assert.deepEqual(position, { epoch, offset });
    socket.send({ type: 'unsubscribe', channel: 'posts' });
    assert.deepEqual(await socket.json(), { type: 'unsubscribed', channel: 'posts' });
  }
});

test('unsubscribing from what was never subscribed to is confirmed too', async () => {
  const socket = await connect();
  socket.send({ type: 'unsubscribe', channel: 'nothing' });
  assert.deepEqual(await socket.json(), { type: 'unsubscribed', channel: 'nothing' });
});

test('what cannot be understood is answered', async () => {
  const socket = await connect();
  const UNKNOWN = { type: 'error', code: 'unknown-type', message: 'Unknown message type' };
  const INVALID = { type: 'error', code: 'invalid-format', message: 'Invalid message format' };
  /** @type {[string, object][]} */
  const cases = [
    ['{"type":"publish","channel":"posts"}', UNKNOWN],
    ['{}', UNKNOWN],
    ['{no json', INVALID],
    ['[]', INVALID],
    ['{"type":"subscribe"}', INVALID],
  ];
  for (const [sent, refusal] of cases) {
    socket.send(sent);
    assert.deepEqual(await socket.json(), refusal, sent);
  }
});

test('the posts are listed newest first', async () => {
  const { post: first } = await create({ title: 'First' });
  const { post: second } = await create({ title: 'Second' });
  const { status, body } = await server.request('GET', '/api/posts', { token: ADA });
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(body), ['posts']);
  assert.deepEqual(body.posts.slice(0, 2), [second, first]);
});

test('the API asks for a token and takes none that is bad', async () => {
  const requests = [
    ['GET', '/api/posts'],
    ['POST', '/api/posts', { title: 'x' }],
    ['PUT', '/api/posts/1', { title: 'x' }],
  ];
  for (const [method, path, body] of requests) {
    const without = await server.request(method, path, { body });
    assert.equal(without.status, 401, `${method} ${path}`);
    assert.deepEqual(without.body, { type: 'error', code: 'authentication-required', message: 'Authentication required' });
    const bad = await server.request(method, path, { body, token: 'your-jwt-token' });
    assert.equal(bad.status, 401, `${method} ${path}`);
    assert.deepEqual(bad.body, { type: 'error', code: 'invalid-token', message: 'Invalid token' });
  }
});

test('a bad request is refused in JSON, and nothing is published', async () => {
  const { socket, offset } = await subscriber('posts');
  const cases = [
    ['POST', '/api/posts', { title: '  ' }, 400],
    ['POST', '/api/posts', { title: 'x'.repeat(201) }, 400],
    ['POST', '/api/posts', { title: 'x', body: 'x'.repeat(10_001) }, 400],
    ['POST', '/api/posts', { body: 'no title' }, 422],
    ['POST', '/api/posts', '{no json', 400],
    ['PUT', '/api/posts/987654321', { title: 'x' }, 404],
    ['PUT', '/api/posts/first', { title: 'x' }, 404],
  ];
  for (const [method, path, body, expected] of cases) {
    const { status, body: answer } = await server.request(method, path, { token: ADA, body });
    assert.equal(status, expected, `${method} ${path} ${JSON.stringify(body).slice(0, 80)}`);
    assert.equal(answer.type, 'error');
    assert.equal(typeof answer.message, 'string');
  }
  await create({ title: 'The next one' });
  const next = await socket.json();
  assert.equal(next.data.post.title, 'The next one');
  assert.equal(next.offset, offset + 1);
});
