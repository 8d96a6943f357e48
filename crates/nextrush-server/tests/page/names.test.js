import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Names } from '../../page/names.js';

const ada = { id: 'ada', email: 'ada@example.com' };
const other = { id: 7, email: 'ada@elsewhere.example' };

test('somebody is called by what stands before the @', () => {
  const names = new Names();
  assert.equal(names.of(ada), 'ada');
  assert.equal(names.of({ id: 7, email: 'grace@example.com' }), 'grace');
  assert.equal(names.of(ada), 'ada');
});

test('somebody without an address is called by the id', () => {
  const names = new Names();
  assert.equal(names.of({ id: 9, email: '' }), '9');
  assert.equal(names.of({ id: 'x', email: '@example.com' }), 'x');
  assert.equal(names.of({ id: 10 }), '10');
});

test('two people with the same name are called by their whole addresses from then on', () => {
  let changes = 0;
  const names = new Names(() => (changes += 1));
  assert.equal(names.of(ada), 'ada');
  assert.equal(changes, 0);
  assert.equal(names.of(other), 'ada@elsewhere.example');
  assert.equal(changes, 1);
  assert.equal(names.of(ada), 'ada@example.com');
  assert.equal(names.of(other), 'ada@elsewhere.example');
  assert.equal(changes, 1);
});

test('two people with the same address are told apart by their ids, also 1 and "1"', () => {
  const names = new Names();
  names.of({ id: 1, email: 'ada@example.com' });
  assert.equal(names.of({ id: '1', email: 'ada@example.com' }), 'ada@example.com ("1")');
  assert.equal(names.of({ id: 1, email: 'ada@example.com' }), 'ada@example.com (1)');
  assert.equal(names.of(other), 'ada@elsewhere.example');
});

test('two people without addresses are told apart', () => {
  const names = new Names();
  names.of({ id: 1, email: '' });
  assert.equal(names.of({ id: '1', email: '' }), '1 ("1")');
});
