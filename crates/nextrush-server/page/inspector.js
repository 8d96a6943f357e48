import { loadIcons, part } from './dom.js';
import { InspectView } from './inspect-view.js';
import { SECTIONS, parseRoute } from './route.js';
import { themeToggle } from './theme.js';
import { Toasts } from './toast.js';

/*
 * The inspector alone, for applications that mount it: at `inspect/` below whatever path they have it. Its
 * markup is that of the whole page.
 */
const response = await fetch(new URL('./index.html', import.meta.url));
const page = new DOMParser().parseFromString(await response.text(), 'text/html');
const view = document.adoptNode(part(page, 'inspect-view'));
part(document, 'skip-target').append(view);

const base = new URL('..', location.href).pathname.replace(/\/$/, '');
const inspect = new InspectView(view, { toasts: new Toasts(part(document, 'toasts')), base });

function navigate() {
  const route = parseRoute(location.hash);
  if (route?.view === 'inspect') inspect.show(route.section, route.channel, route.live);
  else inspect.show(SECTIONS[0], null);
}

void loadIcons();
themeToggle(part(document, 'theme-toggle'));
part(document, 'skip-link').addEventListener('click', (event) => {
  // Its address would be taken for a part's.
  event.preventDefault();
  part(document, 'skip-target').focus();
});
addEventListener('hashchange', navigate);
navigate();
