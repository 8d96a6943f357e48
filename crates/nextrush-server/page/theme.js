import { lasting } from './storage.js';

/**
 * Lets a button switch between light and dark. Until somebody presses it, the
 * page follows the system; `theme-early.js` restores a choice made earlier.
 *
 * @param {HTMLElement} button
 */
export function themeToggle(button) {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const current = () => root.dataset.theme ?? (system.matches ? 'dark' : 'light');
  const label = () => {
    button.title = current() === 'dark' ? 'Switch to light' : 'Switch to dark';
    button.setAttribute('aria-label', button.title);
  };
  button.addEventListener('click', () => {
    root.dataset.theme = current() === 'dark' ? 'light' : 'dark';
    lasting.set('theme', root.dataset.theme);
    label();
  });
  system.addEventListener('change', label);
  label();
}
