import { eventually } from './patience.js';

/**
 * Waits until a channel has one subscriber on all nodes. A tab that takes over loads everything before
 * it is subscribed, and so shows what was published while there is no subscriber.
 *
 * @param {import('./server.js').Server} server
 * @param {string} apiKey
 * @param {string} channel
 */
export async function isOnce(server, apiKey, channel) {
  let answer;
  const hasOne = async () => {
    ({ body: answer } = await server.request('GET', '/api/v1/channels', { token: apiKey }));
    const found = answer.channels.find((/** @type {{ channel: string }} */ one) => one.channel === channel);
    return found?.subscribers === 1;
  };
  await eventually(hasOne, () => `one subscriber of ${channel}: ${JSON.stringify(answer)}`);
}
