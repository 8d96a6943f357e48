// The guide's "Testing WebSocket", as it is written there; only the application is in Rust
// (`examples/testing.rs`) and runs as a program.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import WebSocket from 'ws';
import { PATIENCE_MS } from '../support/patience.js';
import { startTestingExample } from '../support/server.js';

describe('WebSocket', () => {
  let server;

  beforeEach(async () => {
    server = await startTestingExample(0); // Random port
  });

  afterEach(async () => {
    await server.program.stop();
  });

  test('WebSocket connection and messaging', { timeout: PATIENCE_MS }, (t, done) => {
    const port = server.port;
    const ws = new WebSocket(`ws://localhost:${port}/test`);

    ws.on('open', () => {
      ws.send('hello');
    });

    let messageCount = 0;
    ws.on('message', (data) => {
      messageCount++;

      if (messageCount === 1) {
        assert.equal(data.toString(), 'welcome');
      } else if (messageCount === 2) {
        assert.equal(data.toString(), 'echo: hello');
        ws.close();
        done();
      }
    });
  });
});
