// A backend of a team: a program that answers the hooks of the server, and checks their signature with the
// module of its first argument, which is what the guide shows.
import { createServer } from 'node:http';

const { isSigned } = await import(process.argv[2]);
const secret = /** @type {string} */ (process.env.HOOK_SECRET);

/** @type {Record<string, (call: any) => unknown>} */
const answers = {
  connect({ headers }) {
    const name = /session=([a-z]+)/.exec(headers.cookie ?? '')?.[1];
    if (!name) return { error: { code: 'no-session', message: 'Sign in first' } };
    return { result: { user: { id: name, email: `${name}@example.com` }, channels: [`inbox-${name}`] } };
  },
  subscribe({ channel, user }) {
    if (channel === `inbox-${user.id}` || channel.startsWith('board-')) return { result: {} };
    return { error: { code: 'not-yours', message: `${channel} is not yours` } };
  },
  state: ({ channel }) => ({ result: { data: { cards: [channel] } } }),
  publish({ data, user }) {
    if (data.text === 'bad') return { error: { code: 'bad-word', message: 'Not here' } };
    return { result: { data: { ...data, by: user.id } } };
  },
  request: ({ message }) => ({ result: message.a + message.b }),
};

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts);
  const signature = request.headers['x-nextrush-signature'];
  if (!isSigned(signature, body, secret)) return response.writeHead(401).end();
  const call = JSON.parse(body.toString());
  response.setHeader('content-type', 'application/json').end(JSON.stringify(answers[call.type](call)));
});
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  console.log(`listening on port ${port}`);
});
