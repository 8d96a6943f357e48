import assert from 'node:assert/strict';
import { test } from 'node:test';

const { describe, reasonWords } = await import('../../page/connection-status.js');
const { Reason, State } = await import('../../../../clients/javascript/src/index.js');

const cases = [
  [State.Connecting, Reason.Connect, 0, 'connecting', 'Connecting…', false],
  [State.Connecting, Reason.Retry, 3, 'reconnecting', 'Reconnecting (attempt 3)', false],
  [State.Connected, Reason.Opened, 0, 'connected', 'Connected', false],
  [State.Disconnected, Reason.ConnectionLost, 2, 'reconnecting', 'Reconnecting (attempt 2)', true],
  [State.Suspended, Reason.Offline, 0, 'offline', 'Offline', true],
  [State.Failed, Reason.Unauthorized, 0, 'signed-out', 'Signed out', false],
  [State.Failed, Reason.Misconfigured, 0, 'failed', 'Disconnected', true],
  [State.Closed, Reason.CloseCalled, 0, 'signed-out', 'Signed out', false],
];

for (const [state, reason, reconnectAttempts, shown, label, canRetry] of cases) {
  test(`a client that is ${state} (${reason}) is shown as ${shown}`, () => {
    assert.deepEqual(describe({ state, reason, reconnectAttempts }), { state: shown, label, canRetry });
  });
}

test('every reason to be without a connection has words for people', () => {
  const ours = ['new', 'connect', 'retry', 'online', 'awake', 'opened', 'close-called', 'unauthorized', 'attempts-exhausted'];
  const words = Object.values(Reason).filter((reason) => !ours.includes(reason))
    .map((reason) => reasonWords({ state: State.Disconnected, reason }));
  for (const sentence of words) assert.match(sentence, /^[A-Z].*\.$/);
  assert.equal(reasonWords({ state: State.Disconnected, reason: Reason.ServerRestart }), 'The server is restarting.');
  assert.equal(reasonWords({ state: State.Suspended, reason: Reason.ConnectFailed }), 'This device has no network.');
});
