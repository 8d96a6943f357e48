/** The address below which the server has this page and everything else. */
const below = new URL('..', import.meta.url);

/** The same as the clients take it. */
export const SERVER = below.href;

/** The path of that, without a slash at its end: empty where it is the root of its host. */
export const BASE = below.pathname.replace(/\/$/, '');
