// docs/hostile-cases.md, "Authentication": tokens as attackers make them, of keys that they do not have.
import assert from 'node:assert/strict';
import { constants, createHmac, createPublicKey, generateKeyPairSync, sign as signWith } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LINUX_ONLY, Target, handshake, Raw } from '../support/hostile.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';
import { SECRET, seconds } from '../support/token.js';

const AUDIENCE = 'chat';
const ISSUER = 'https://issuer.test';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const strangers = generateKeyPairSync('rsa', { modulusLength: 2048 });

/** @type {Server} */
let server;
/** @type {Target} */
let target;
/** @type {string} */
let folder;
/** Whatever a token says of keys elsewhere, nobody comes to fetch them. @type {http.Server} */
let elsewhere;
let fetched = 0;
let url = '';
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nextrush-keys-'));
  const named = ([kid, alg, { publicKey }]) => ({ ...publicKey.export({ format: 'jwk' }), kid, alg });
  const keys = [['rsa', 'RS256', rsa], ['ec', 'ES256', ec], ['ed', 'EdDSA', ed]].map(/** @type {any} */ (named));
  const file = path.join(folder, 'keys.json');
  await writeFile(file, JSON.stringify({ keys }));
  elsewhere = http.createServer((_, answer) => {
    fetched += 1;
    answer.end(JSON.stringify({ keys: [{ ...strangers.publicKey.export({ format: 'jwk' }), kid: 'theirs', alg: 'RS256' }] }));
  });
  await once(elsewhere.listen(0, '127.0.0.1'), 'listening');
  url = `http://127.0.0.1:${/** @type {any} */ (elsewhere.address()).port}/keys`;
  const args = ['--jwt-key', file, '--jwt-audience', AUDIENCE, '--jwt-issuer', ISSUER];
  server = await Server.start({ args });
  target = new Target(server.port, server.program);
});
after(async () => {
  await server.stop();
  elsewhere.close();
  await rm(folder, { recursive: true });
});

const claims = () => ({ id: 'eve', email: 'eve@example.com', exp: seconds(600), aud: AUDIENCE, iss: ISSUER });
/** @param {unknown} json */
const part = (json) => Buffer.from(typeof json === 'string' ? json : JSON.stringify(json)).toString('base64url');

/**
 * A token of exactly this header and these claims, which may be JSON that no object makes.
 *
 * @param {object} header
 * @param {unknown} content
 * @param {(bytes: Buffer) => Buffer} sign
 */
function token(header, content, sign) {
  const signed = `${part({ typ: 'JWT', ...header })}.${part(content)}`;
  return `${signed}.${sign(Buffer.from(signed)).toString('base64url')}`;
}

const hmac = (/** @type {any} */ key, hash = 'sha256') => (/** @type {Buffer} */ bytes) => createHmac(hash, key).update(bytes).digest();
const by = (/** @type {any} */ key, hash = 'sha256') => (/** @type {Buffer} */ bytes) => signWith(hash, bytes, key);
const byRsa = by(rsa.privateKey);
const byEc = by({ key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
const byEd = (/** @type {Buffer} */ bytes) => signWith(null, bytes, ed.privateKey);
const bySecret = hmac(SECRET);
/** A token of the secret, whose claims are these. @param {unknown} content */
const of = (content) => token({ alg: 'HS256' }, content, bySecret);
const changed = (/** @type {object} */ change) => of({ ...claims(), ...change });
/** The claims with a number as it is written. @param {string} name @param {string} value */
const written = (name, value) => of(JSON.stringify({ ...claims(), [name]: 0 }).replace(`"${name}":0`, `"${name}":${value}`));

/** @returns {Record<string, string>} */
function good() {
  return {
    'the secret': of(claims()),
    'the RSA key': token({ alg: 'RS256', kid: 'rsa' }, claims(), byRsa),
    'the RSA key, unnamed': token({ alg: 'RS256' }, claims(), byRsa),
    'the key on a curve': token({ alg: 'ES256', kid: 'ec' }, claims(), byEc),
    'the Edwards key': token({ alg: 'EdDSA', kid: 'ed' }, claims(), byEd),
    'several audiences': changed({ aud: ['other', AUDIENCE] }),
    'a clock that is 2 s ahead': changed({ nbf: seconds(2) }),
    'an end with a fraction': changed({ exp: seconds(600) + 0.5 }),
  };
}

/** @returns {Record<string, string>} */
function bad() {
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
  const der = rsa.publicKey.export({ type: 'spki', format: 'der' });
  const { n = '' } = rsa.publicKey.export({ format: 'jwk' });
  const content = claims();
  const nothing = () => Buffer.alloc(0);
  const pss = by({ key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
  const good = of(content);
  return {
    // 73
    ...Object.fromEntries(['none', 'None', 'NONE', 'nOnE', '', null, 0, ['HS256']].map((alg) => [`alg ${JSON.stringify(alg)}`, token({ alg }, content, nothing)])),
    'an empty signature': good.slice(0, good.lastIndexOf('.') + 1),
    'no signature': good.slice(0, good.lastIndexOf('.')),
    'half of the signature': good.slice(0, -22),
    'four parts': `${good}.${good.split('.')[2]}`,
    'a changed claim': good.replace(part(content), part({ ...content, id: 'root' })),
    'alg none, with the signature of another': token({ alg: 'none' }, content, bySecret),
    // 74
    ...Object.fromEntries([pem, String(pem).trimEnd(), der, Buffer.from(n, 'base64url'), n].map((key, at) => [`HS256 with the public key, ${at}`, token({ alg: 'HS256', kid: 'rsa' }, content, hmac(key))])),
    'HS256 with the public key, unnamed': token({ alg: 'HS256' }, content, hmac(pem)),
    'HS512 of the secret': token({ alg: 'HS512' }, content, hmac(SECRET, 'sha512')),
    'RS512 of the RSA key': token({ alg: 'RS512', kid: 'rsa' }, content, by(rsa.privateKey, 'sha512')),
    'PS256 of the RSA key': token({ alg: 'PS256', kid: 'rsa' }, content, pss),
    'RS256 that says ES256': token({ alg: 'ES256', kid: 'rsa' }, content, byRsa),
    'ES256 in DER': token({ alg: 'ES256', kid: 'ec' }, content, by(ec.privateKey)),
    'ES256 of zeros': token({ alg: 'ES256', kid: 'ec' }, content, () => Buffer.alloc(64)),
    'EdDSA of zeros': token({ alg: 'EdDSA', kid: 'ed' }, content, () => Buffer.alloc(64)),
    'another RSA key': token({ alg: 'RS256', kid: 'rsa' }, content, by(strangers.privateKey)),
    'the name of another key': token({ alg: 'RS256', kid: 'ec' }, content, byRsa),
    'an empty secret': token({ alg: 'HS256' }, content, hmac('')),
    // 75
    'no exp': changed({ exp: undefined }),
    'an exp in the past': changed({ exp: seconds(-600) }),
    'an exp beyond the leeway': changed({ exp: seconds(-30) }),
    'an exp of 0': changed({ exp: 0 }),
    'a negative exp': changed({ exp: -1 }),
    'an exp as text': changed({ exp: String(seconds(600)) }),
    'an exp of null': changed({ exp: null }),
    'an exp of true': changed({ exp: true }),
    'an exp in a list': changed({ exp: [seconds(600)] }),
    'an exp of 1e400': written('exp', '1e400'),
    'an exp of -1e400': written('exp', '-1e400'),
    'an exp of NaN': written('exp', 'NaN'),
    'an exp of Infinity': written('exp', 'Infinity'),
    'two exps': of(JSON.stringify(content).replace('{', `{"exp":${seconds(600)},`)),
    'two exps, the first in the past': of(JSON.stringify(content).replace('{', '{"exp":1,')),
    'two ids': of(JSON.stringify(content).replace('{', '{"id":"root",')),
    'an nbf ahead': changed({ nbf: seconds(600) }),
    'an nbf as text ahead': changed({ nbf: String(seconds(600)) }),
    // 76
    'no aud': changed({ aud: undefined }),
    'another aud': changed({ aud: 'other' }),
    'a part of the aud': changed({ aud: AUDIENCE.slice(1) }),
    'an empty list of aud': changed({ aud: [] }),
    'no iss': changed({ iss: undefined }),
    'another iss': changed({ iss: `${ISSUER}.evil.example` }),
    'a kid that there is not': token({ alg: 'HS256', kid: 'theirs' }, content, bySecret),
    'a kid that is a path': token({ alg: 'HS256', kid: '../../../../dev/null' }, content, hmac('')),
    'a kid that is SQL': token({ alg: 'HS256', kid: `' UNION SELECT 'x` }, content, hmac('x')),
    'a kid of 6,000 bytes': token({ alg: 'HS256', kid: 'k'.repeat(6_000) }, content, bySecret),
    'a kid that is none': token({ alg: 'HS256', kid: { $ne: '' } }, content, bySecret),
    ...Object.fromEntries(['jku', 'x5u'].map((name) => [`a ${name}`, token({ alg: 'RS256', kid: 'theirs', [name]: url }, content, by(strangers.privateKey))])),
    'a jku beside a right signature': token({ alg: 'HS256', jku: url }, content, bySecret),
    'a jwk': token({ alg: 'RS256', jwk: strangers.publicKey.export({ format: 'jwk' }) }, content, by(strangers.privateKey)),
    'a jwk beside a right signature': token({ alg: 'HS256', jwk: createPublicKey(strangers.privateKey).export({ format: 'jwk' }) }, content, bySecret),
    'a crit': token({ alg: 'HS256', crit: ['exp'] }, content, bySecret),
    'no compression': token({ alg: 'HS256', zip: 'DEF' }, 'x', bySecret),
    // 77
    'claims 2,500 deep': of(JSON.stringify(content).replace('}', `,"x":${'['.repeat(2_500)}${']'.repeat(2_500)}}`)),
    'a header 2,500 deep': `${part(`{"alg":"HS256","x":${'['.repeat(2_500)}`)}.${part(content)}.x`,
    'claims that are a list': of([content]),
    'claims that are a text': of('"eve"'),
    'claims that are nothing': of(''),
    'claims of half of a character': of(Buffer.from(JSON.stringify(content).replace('eve', 'eé')).subarray(0, 9).toString('latin1')),
    'an id that is a list': changed({ id: ['eve'] }),
    'an id of __proto__ in an object': changed({ id: { __proto__: null, id: 'eve' } }),
    'a token of dots': '...',
    'a token of 9,000 bytes': changed({ x: 'x'.repeat(6_500) }),
  };
}

/** The doors: what each says to a token. @type {Record<string, (token: string) => Promise<string>>} */
const DOORS = {
  'the address of a socket': async (token) => {
    const socket = await Socket.connect(`${server.ws('/live')}?token=${encodeURIComponent(token)}`);
    return toldBy(socket);
  },
  'the header of a handshake': async (token) => toldBy(await Socket.connect(server.ws('/live'), { headers: { authorization: `Bearer ${token}` } })),
  'a subprotocol': async (token) => {
    // One that is no token of HTTP cannot be sent so.
    const subprotocols = ['nextrush', `nextrush.bearer.${token}`].join(', ');
    const raw = await Raw.connect(server.port);
    raw.write(handshake({ 'Sec-WebSocket-Protocol': subprotocols }, 'GET /live HTTP/1.1'));
    const { status, length } = await raw.head();
    raw.received = raw.received.subarray(length);
    if (status !== 101) return raw.reset(), 'refused';
    raw.write(Buffer.from('818f00000000', 'hex'));
    raw.write('{"type":"ping"}');
    const [first] = await raw.frames(1);
    raw.reset();
    return toldIn(JSON.parse(first.payload.toString()));
  },
  'a request': async (token) => {
    const { status } = await server.request('GET', '/api/posts', { token });
    return status === 200 ? 'admitted' : status === 401 ? 'refused' : `${status}`;
  },
  'a refresh of an open socket': async (token) => {
    const socket = await Socket.connect(`${server.ws('/live')}?token=${good()['the secret']}`);
    socket.send({ type: 'refresh', token, id: 'r' });
    const answer = await socket.json();
    socket.cut();
    return answer.type === 'error' ? toldIn(answer) : 'admitted';
  },
};

/** @param {Socket} socket */
async function toldBy(socket) {
  socket.send({ type: 'ping', id: 'p' });
  const told = toldIn(await socket.json());
  if (told === 'refused') assert.equal((await socket.closed()).code, 1008);
  socket.cut();
  return told;
}

/** @param {any} message */
function toldIn({ type, code }) {
  if (type !== 'error') return 'admitted';
  assert.ok(['invalid-token', 'token-expired', 'id-not-exact'].includes(code), code);
  return 'refused';
}

for (const [door, tell] of Object.entries(DOORS)) {
  describe(door, LINUX_ONLY, () => {
    test('takes tokens of the keys that there are', async () => {
      for (const [name, token] of Object.entries(good())) assert.equal(await tell(token), 'admitted', name);
    });

    test('takes none that was made otherwise, and fetches nothing', async () => {
      await target.withstands(async () => {
        for (const [name, token] of Object.entries(bad())) assert.equal(await tell(token), 'refused', name);
      });
      assert.equal(fetched, 0);
    });
  });
}

test('a token of 1 MiB is refused before it is looked at', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    for (const headers of [{ Authorization: `Bearer ${'x'.repeat(1 << 20)}` }, { 'Sec-WebSocket-Protocol': `nextrush, nextrush.bearer.${'x'.repeat(1 << 20)}` }]) {
      const raw = await Raw.connect(server.port);
      raw.write(handshake(headers, 'GET /live HTTP/1.1'));
      await raw.over();
      assert.ok([0, 431].includes((await raw.head()).status));
    }
  });
});
