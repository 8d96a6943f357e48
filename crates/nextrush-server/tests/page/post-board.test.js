import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Change, PostBoard } from '../../page/post-board.js';
import { ada } from './people.js';

function post(id, version, { minute = id, title = `post ${id}, version ${version}` } = {}) {
  const createdAt = new Date(Date.UTC(2026, 0, 31, 12, minute)).toISOString();
  return { id, title, body: '', author: ada, createdAt, updatedAt: createdAt, version };
}

test('the highest version of a post wins, in whatever order they come', () => {
  const board = new PostBoard();
  assert.equal(board.put(post(1, 2)), Change.Added);
  assert.equal(board.put(post(1, 1)), Change.Known);
  assert.equal(board.put(post(1, 2)), Change.Known);
  assert.equal(board.put(post(1, 3)), Change.Changed);
  assert.equal(board.posts[0].title, 'post 1, version 3');
});

test('posts stand newest first', () => {
  const board = new PostBoard();
  for (const id of [2, 3, 1]) board.put(post(id, 1));
  assert.deepEqual(board.posts.map(({ id }) => id), [3, 2, 1]);
});

test('after a restart of the server, an id may mean another post', () => {
  const board = new PostBoard();
  board.put(post(1, 9, { minute: 1 }));
  assert.equal(board.put(post(1, 1, { minute: 30, title: 'another' })), Change.Added);
  assert.equal(board.put(post(1, 10, { minute: 1 })), Change.Known);
  assert.equal(board.size, 1);
  assert.equal(board.posts[0].title, 'another');
});

test('a post that was removed can come again', () => {
  const board = new PostBoard();
  board.put(post(1, 1));
  board.remove('1');
  assert.equal(board.size, 0);
  assert.equal(board.put(post(1, 1)), Change.Added);
});
