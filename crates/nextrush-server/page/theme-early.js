// A plain script in the head, not a module: it runs before the first paint.
try {
  const theme = localStorage.getItem('nextrush.theme');
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // No storage, no choice to restore: the system's theme holds.
}
