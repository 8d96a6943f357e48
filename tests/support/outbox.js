/**
 * Tells whether the outbox of a room of the page keeps so many messages. Runs in the page.
 *
 * @param {{ room: string, count: number }} what
 */
export async function isKept({ room, count }) {
  const address = '/client/outbox.js';
  const { Outbox } = await import(address);
  const prefix = 'nextrush-outbox:';
  const names = (await indexedDB.databases()).map(({ name }) => name ?? '');
  const name = names.find((name) => name.startsWith(prefix) && name.endsWith(` in ${room}`));
  return name !== undefined && (await new Outbox(name.slice(prefix.length)).load()).length === count;
}
