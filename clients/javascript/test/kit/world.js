export { world } from '../../testing/world.js';

/** What a client sent, without the ids and the name of its device, which it made up. */
export const withoutIds = (messages) => messages.map(({ id, device, ...message }) => message);

/** Everything that `client` emits as `type`, as it comes. */
export function record(client, type) {
  const events = [];
  client.on(type, (event) => events.push(event));
  return events;
}

/** The states that `client` goes through, with their reasons. */
export function recordStates(client) {
  const states = [];
  client.on('state', ({ state, reason }) => states.push(`${state}: ${reason}`));
  return states;
}

/** Lets promises that are already settled call their continuations. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));
