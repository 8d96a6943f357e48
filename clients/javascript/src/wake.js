/**
 * Events of the platform: the network comes and goes, pages sleep, machines too.
 *
 * @module
 */

/** @import { Environment } from './environment.js' */

/**
 * @typedef {object} PlatformListener
 * @property {() => void} online
 * @property {() => void} offline
 * @property {() => void} asleep The page goes to the back-forward cache, which takes no page
 *   with an open connection.
 * @property {(slept: boolean) => void} awake The page is shown, or runs again. `slept`: it is
 *   certain that time was missed.
 */

/** The interval at which the clock is read, in milliseconds. */
const TICK_MS = 30_000;

/**
 * A tick this late is one that the machine slept through. Tabs in the background are called once
 * a minute, which must not be taken for sleep.
 */
const SLEPT_MS = 150_000;

/**
 * Tells `listener` what happens, until the function that is returned is called.
 *
 * @param {Pick<Environment, 'network' | 'page' | 'timers' | 'now' | 'date'>} environment
 * @param {PlatformListener} listener
 * @returns {() => void}
 */
export function watchPlatform({ network, page, timers, now, date }, { online, offline, asleep, awake }) {
  /** @type {[Pick<EventTarget, 'addEventListener' | 'removeEventListener'> | null, string, (event: any) => void][]} */
  const listeners = [
    [network, 'online', online],
    [network, 'offline', offline],
    [network, 'pagehide', ({ persisted }) => persisted && asleep()],
    [network, 'pageshow', ({ persisted }) => persisted && awake(true)],
    [page, 'visibilitychange', () => page?.visibilityState === 'visible' && awake(false)],
    // A page that was frozen may be shown without the event above.
    [page, 'resume', () => awake(false)],
  ];
  for (const [target, type, listener] of listeners) target?.addEventListener(type, listener);

  const late = (/** @type {number} */ ms) => ms > TICK_MS + SLEPT_MS;
  let last = now();
  let lastDate = date();
  const tick = () => {
    const slept = late(now() - last);
    // On some platforms the time that only rises stands still in sleep. But the clock may have been
    // set as well, and then no time was missed.
    const perhaps = late(date() - lastDate);
    last = now();
    lastDate = date();
    timer = timers.setTimeout(tick, TICK_MS);
    if (slept || perhaps) awake(slept);
  };
  let timer = timers.setTimeout(tick, TICK_MS);
  return () => {
    timers.clearTimeout(timer);
    for (const [target, type, listener] of listeners) target?.removeEventListener(type, listener);
  };
}
