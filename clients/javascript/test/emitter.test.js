import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { Emitter } from '../src/emitter.js';

test('listeners are called in the order they were added, with the event', () => {
  const emitter = new Emitter();
  const calls = [];
  emitter.on('a', (event) => calls.push(['first', event]));
  emitter.on('a', (event) => calls.push(['second', event]));
  emitter.on('b', () => calls.push('wrong name'));
  emitter.emit('a', 7);
  assert.deepEqual(calls, [['first', 7], ['second', 7]]);
});

test('a listener is removed by what `on` returned, and by `off`', () => {
  const emitter = new Emitter();
  const calls = [];
  const listener = () => calls.push('off');
  const remove = emitter.on('a', () => calls.push('returned'));
  emitter.on('a', listener);
  remove();
  emitter.off('a', listener);
  emitter.off('never', listener);
  emitter.emit('a');
  assert.deepEqual(calls, []);
});

test('the same function added twice is called once', () => {
  const emitter = new Emitter();
  let calls = 0;
  const listener = () => calls++;
  emitter.on('a', listener);
  emitter.on('a', listener);
  emitter.emit('a');
  assert.equal(calls, 1);
});

test('a listener removed during the event is not called any more, an added one not yet', () => {
  const emitter = new Emitter();
  const calls = [];
  emitter.on('a', () => {
    removeSecond();
    emitter.on('a', () => calls.push('added'));
  });
  const removeSecond = emitter.on('a', () => calls.push('removed'));
  emitter.emit('a');
  assert.deepEqual(calls, []);
  emitter.emit('a');
  assert.deepEqual(calls, ['added']);
});

test('an event caused by a listener reaches nobody before the event that caused it', () => {
  const emitter = new Emitter();
  const seenByLast = [];
  emitter.on('a', () => emitter.emit('b'));
  emitter.on('a', () => seenByLast.push('a'));
  emitter.on('b', () => seenByLast.push('b'));
  emitter.emit('a');
  assert.deepEqual(seenByLast, ['a', 'b']);
});

for (const name of ['__proto__', 'constructor', 'toString']) {
  test(`${name} is a name like any other`, () => {
    const emitter = new Emitter();
    emitter.emit(name, 1);
    const events = [];
    emitter.on(name, (event) => events.push(event));
    emitter.emit(name, 2);
    assert.deepEqual(events, [2]);
  });
}

test('a listener that throws stops nobody else, and its error is not swallowed', () => {
  // In a process of its own, because an uncaught error would end the tests.
  const script = `
    import { Emitter } from ${JSON.stringify(new URL('../src/emitter.js', import.meta.url).href)};
    const emitter = new Emitter();
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    emitter.on('a', () => { throw new Error('boom'); });
    emitter.on('a', () => console.log('second called'));
    emitter.emit('a');
    console.log('emit returned');
    emitter.emit('a');
  `;
  const { stdout, status } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', script],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0);
  assert.deepEqual(stdout.trim().split('\n'), [
    'second called',
    'emit returned',
    'second called',
    'uncaught boom',
    'uncaught boom',
  ]);
});
