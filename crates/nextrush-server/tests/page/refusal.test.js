import assert from 'node:assert/strict';
import { test } from 'node:test';

const { failureWords, isOfToken, refusalWords } = await import('../../page/refusal.js');

for (const code of ['authentication-required', 'invalid-token', 'token-expired']) {
  test(`${code} is about the token, whatever its words are`, () => {
    assert.ok(isOfToken({ code, message: 'Ungültig' }));
  });
}

test('other codes are not about the token, nor is a refusal without one', () => {
  for (const code of ['too-large', 'brand-new', undefined]) assert.ok(!isOfToken({ code, message: 'Invalid token' }));
});

test('details follow the words of a refusal', () => {
  assert.equal(refusalWords({ message: 'Presence data too large' }), 'Presence data too large');
  assert.equal(refusalWords({ message: 'Invalid channel name', details: 'empty' }), 'Invalid channel name: empty');
});

for (const [error, words] of [
  [{ code: 'refused', refusal: 'user-offline', message: 'Fort' }, 'Not delivered: the recipient is not here'],
  [{ code: 'refused', refusal: 'not-stored', message: 'Message could not be stored' }, 'Not sent: Message could not be stored'],
  [{ code: 'refused', message: 'User not found or offline' }, 'Not sent: User not found or offline'],
  [{ code: 'refused', refusal: 'brand-new', message: 'Something else' }, 'Not sent: Something else'],
  [{ code: 'unconfirmed', message: 'perhaps executed' }, 'Perhaps sent: the server did not confirm it in time'],
  [{ code: 'timeout', message: 'no answer' }, 'Perhaps sent: the server did not confirm it in time'],
  [{ code: 'overflow', message: 'too many requests wait' }, 'Not sent: too many messages wait already'],
  [{ code: 'unsupported', message: '' }, 'Not sent: this server does not confirm messages'],
]) {
  test(`a message that failed with ${error.refusal ?? error.code} (${error.message || 'no words'}) says: ${words}`, () => {
    assert.equal(failureWords(error), words);
  });
}
