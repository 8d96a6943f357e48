import { LiveClient, Reason, State } from '../client/index.js';
import { sharedWebSocket } from '../client/shared-socket.js';
import { avatar } from './avatar.js';
import { ChatView } from './chat-view.js';
import { el, loadIcons, part, setAttribute } from './dom.js';
import { InspectView } from './inspect-view.js';
import { LiveView } from './live-view.js';
import { BASE, SERVER } from './place.js';
import { PostsApi } from './posts-api.js';
import { isOfToken, refusalWords } from './refusal.js';
import { DEFAULT_ROOM, formatRoute, parseRoute } from './route.js';
import { Session } from './session.js';
import { SignInView } from './sign-in-view.js';
import { themeToggle } from './theme.js';
import { Toasts } from './toast.js';
import { Unread } from './unread.js';
import { displayName, userKey } from './user.js';

const header = /** @type {HTMLElement} */ (document.querySelector('.app-header'));
const tabs = { chat: part(header, 'tab-chat'), live: part(header, 'tab-live'), inspect: part(header, 'tab-inspect') };
const session = new Session();
const toasts = new Toasts(part(document, 'toasts'));
const signIn = new SignInView(part(document, 'sign-in'), session);
const unread = new Unread(part(header, 'chat-unread'));
const chat = new ChatView(part(document, 'chat-view'), {
  toasts,
  header,
  onUnread: (count) => (unread.count = count),
  onTokenRefused: () => session.refused(),
  onSignedOut: signedOut,
});
const live = new LiveView(part(document, 'live-view'), { toasts, onSignedOut: signedOut });
const inspect = new InspectView(part(document, 'inspect-view'), { toasts, base: BASE });

/** The one connection for posts and presence, shared by all tabs of this user. @type {LiveClient | null} */
let updates = null;

/** The reason why the user is no longer signed in, for the sign-in form; empty if there is none. */
let farewell = '';

/** Shows what the address says. */
function navigate() {
  const route = parseRoute(location.hash);
  if (!session.identity && route?.view !== 'inspect') {
    inspect.hide();
    showSignIn();
    return;
  }
  if (!route) {
    // Replaced, so that the way back does not lead here again.
    location.replace(formatRoute({ view: 'chat', room: DEFAULT_ROOM }));
    return;
  }
  signIn.hide();
  if (route.view !== 'chat') chat.hide();
  if (route.view !== 'live') live.hide();
  if (route.view !== 'inspect') inspect.hide();
  if (route.view === 'chat') chat.show(route.room);
  else if (route.view === 'live') live.show(route.post);
  // The inspector asks for a key of its own, and knows nothing of the session.
  else inspect.show(route.section, route.channel, route.live);
  tabs.chat.setAttribute('href', formatRoute({ view: 'chat', room: chat.room }));
  for (const [view, tab] of Object.entries(tabs)) setAttribute(tab, 'aria-current', view === route.view && 'page');
  unread.title = { chat: `#${route.view === 'chat' ? route.room : ''}`, live: 'Live posts', inspect: 'Inspector' }[route.view] + ' · NextRush';
}

function showSignIn() {
  for (const tab of Object.values(tabs)) setAttribute(tab, 'aria-current', null);
  unread.title = 'NextRush';
  void signIn.show(farewell);
  farewell = '';
}

/** Shows the page of somebody who is signed in, or the way in. */
function showSession() {
  const { identity } = session;
  for (const tab of [tabs.chat, tabs.live]) tab.hidden = !identity;
  part(header, 'account').hidden = !identity;
  chat.signOut();
  live.signOut();
  updates?.close();
  updates = null;
  unread.count = 0;
  if (!identity) return navigate();
  const { user } = identity;
  const name = part(header, 'signed-in-user');
  name.title = user.email;
  name.replaceChildren(avatar(user), el('span', { dir: 'auto' }, displayName(user)));
  updates = follow(user);
  chat.signIn({ user, token: session.token, live: updates });
  live.signIn({ live: updates, api: new PostsApi(session) });
  navigate();
}

/** @param {import('./user.js').User} user */
function follow(user) {
  const client = new LiveClient(session.token, {
    server: SERVER,
    tokenIn: 'subprotocol',
    WebSocket: sharedWebSocket(`live of ${userKey(user.id)}${BASE && ` at ${BASE}`}`),
  });
  client.on('state', ({ state, reason }) => {
    if (reason === Reason.TokenRefused) session.refused();
    if (state === State.Failed && reason === Reason.Unauthorized) signedOut();
  });
  client.on('error', (refusal) => {
    if (!isOfToken(refusal)) toasts.error(refusalWords(refusal));
  });
  client.connect();
  return client;
}

function signedOut() {
  if (!session.identity) return;
  farewell = 'The server does not accept your token any more. Please sign in again.';
  session.signOut();
}

void loadIcons();
themeToggle(part(header, 'theme-toggle'));
part(header, 'sign-out').addEventListener('click', () => session.signOut());
part(document, 'skip-link').addEventListener('click', (event) => {
  // Its address would be taken for a room's.
  event.preventDefault();
  part(document, 'skip-target').focus();
});
session.addEventListener('change', showSession);
addEventListener('hashchange', navigate);
showSession();
void inspect.isThere().then((isThere) => (tabs.inspect.hidden = !isThere));
