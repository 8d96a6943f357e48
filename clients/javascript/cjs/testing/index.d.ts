import type { Timers, Fetch, Network, Page, User, UserId, WebSocketConstructor } from '../index.js';

/** What the server in memory does. */
export interface TestOptions {
  /** The user of a token, with what others see of it in presence. Default: the token is the id. */
  users?: (token: string) => { id: UserId } | undefined;
  /** The initial state of a channel, where it has one; also of those that the server subscribes to. */
  initial?: (channel: string) => unknown;
  /** The channels that a user is subscribed to by the server. */
  channels?: (user: UserId) => string[];
  /** How many publications of a channel are kept for those who come back. Default 100. */
  history?: number;
  /**
   * What is done for each command of the application, by its `type`. What it returns is the reply; what it throws is
   * told as its `code`, or `internal`, and its `message`.
   */
  commands?: Record<string, (command: any, user: User) => unknown>;
}

/** A server in memory, a network and a clock, which do nothing by themselves. */
export interface TestWorld {
  /** What clients of this world are made with: `new LiveClient('ada', world.options)`. */
  readonly options: {
    WebSocket: WebSocketConstructor;
    timers: Timers;
    now: () => number;
    date: () => number;
    random: () => number;
    fetch: Fetch | null;
    network: Network;
    page: Page;
  };
  /** Delivers everything that is under way, either way. In React within `act`. */
  settle(): Promise<void>;
  /** Publishes to a channel, JSON or a `Uint8Array`, and delivers it. */
  publish(channel: string, data: unknown): Promise<void>;
  /** Lets so many milliseconds pass at once, and delivers what is sent meanwhile. */
  advance(ms: number): Promise<void>;
  /** Breaks all connections; clients come back as time passes. */
  lose(): Promise<void>;
  /** The server loses all channels: whoever comes back is told a gap. */
  forget(): void;
  /** Takes a channel away from a user. */
  kick(user: UserId, channel: string, why?: { code: string; message: string; retryAfterMs?: number }): Promise<void>;
  /** Asks the clients of a user, and gives their answers. */
  request(user: UserId, name: string, data?: unknown): Promise<({ data: any } | { error: { code?: string; message: string } })[]>;
  /** How many connections are subscribed to a channel. */
  subscribers(channel: string): number;
  /** How many connections there are. */
  readonly connections: number;
  /** The commands that were executed, without their ids. */
  readonly commands: any[];
}

export function testWorld(options?: TestOptions): TestWorld;
