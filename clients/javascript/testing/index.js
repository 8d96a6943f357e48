/**
 * A server in memory, and time that stands still, for tests of an application's own components.
 *
 * @module
 */

import { ContractServer } from './contract-server.js';
import { linkedWorld } from './linked-world.js';

/** A world for a test; its types and words are in `index.d.ts`. */
export function testWorld({ users = () => undefined, initial, channels, history, commands } = {}) {
  const now = () => clock.date();
  const userOfToken = (token) => users(token) ?? token;
  const server = new ContractServer({ initial, own: channels, history, commands, userOfToken, now });
  const w = linkedWorld(server);
  const { clock, options } = w;
  const settle = async () => {
    // As many turns as an answer takes that waits for a function of the application.
    for (let quiet = 0; quiet < 20; quiet += 1) {
      await null;
      if (w.step()) quiet = 0;
    }
  };
  return {
    options,
    settle,
    publish: async (channel, data) => {
      const isBytes = data instanceof Uint8Array;
      server.publish(channel, isBytes ? btoa(String.fromCharCode(...data)) : data, isBytes ? 'base64' : undefined);
      await settle();
    },
    advance: async (ms) => {
      // What is sent meanwhile arrives in its time.
      for (let left = ms; left >= 0; ) {
        const step = Math.min(left, clock.next);
        clock.advance(step);
        await settle();
        left = step < left ? left - step : -1;
      }
    },
    lose: async () => {
      for (const link of w.alive()) link.break();
      await settle();
    },
    forget: () => server.forget(`e${(epochs += 1)}`),
    kick: async (user, channel, why) => {
      server.kick(user, channel, why);
      await settle();
    },
    request: async (user, name, data) => {
      const before = server.responses.length;
      server.ask(user, name, data);
      await settle();
      return server.responses.slice(before).map(({ data, error }) => (error ? { error } : { data }));
    },
    subscribers: (channel) => server.subscribers(channel),
    get connections() {
      return server.connections;
    },
    get commands() {
      return [...server.commands];
    },
  };
}

/** Epochs that were made. The first one of a server is `e1`. */
let epochs = 1;
