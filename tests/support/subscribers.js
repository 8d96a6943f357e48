import assert from 'node:assert/strict';
import { PATIENCE_MS } from './patience.js';

/**
 * Waits until a channel has one subscriber on all nodes. A tab that takes over loads everything before
 * it is subscribed, and so shows what was published while there is no subscriber.
 *
 * @param {import('./server.js').Server} server
 * @param {string} apiKey
 * @param {string} channel
 */
export async function isOnce(server, apiKey, channel) {
  const end = performance.now() + PATIENCE_MS;
  let answer;
  do {
    ({ body: answer } = await server.request('GET', '/api/v1/channels', { token: apiKey }));
    const found = answer.channels.find((/** @type {{ channel: string }} */ one) => one.channel === channel);
    if (found?.subscribers === 1) return;
  } while (performance.now() < end);
  assert.fail(`${channel} has not one subscriber: ${JSON.stringify(answer)}`);
}
