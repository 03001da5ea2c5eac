import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { connect, createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { connect as tlsConnect } from 'node:tls';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority, createLeaf, type PemPair } from '../../certificates/issue.ts';
import { createStore } from '../../kube/store.ts';
import { createTransport } from '../../kube/transport.ts';
import { ANNOTATION_NAME, ANNOTATION_NAMESPACE, ANNOTATION_UID, virtualKeyOf } from '../names.ts';
import type { Pod } from '../objects.ts';
import { createNodeStore, INDEX } from '../stores.ts';
import { createKubeletServer, type KubeletServer } from './server.ts';

const NODE = '192.168.0.5';
const OTHER_NODE = '192.168.0.6';

let certificates: Record<'ca' | 'kubelet' | 'apiServer' | 'user' | 'stranger', PemPair>;
beforeAll(async () => {
  const validity = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
  const authority = await createAuthority({ name: 'ca', commonName: 'vc', organization: 'ns' }, validity);
  const other = await createAuthority({ name: 'ca', commonName: 'vc', organization: 'ns' }, validity);
  const leaf = (commonName: string, usage: 'client' | 'server', signer = authority) =>
    createLeaf(
      { name: 'x', authority: 'ca', commonName, usage, names: usage === 'server' ? ['kubelet'] : [] },
      signer,
      validity,
    );
  certificates = {
    ca: authority.pem,
    kubelet: await leaf('kubelet', 'server'),
    apiServer: await leaf('kube-apiserver-kubelet-client', 'client'),
    user: await leaf('mayfly:admin', 'client'),
    stranger: await leaf('kube-apiserver-kubelet-client', 'client', other),
  };
});

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
const unanswered: IncomingMessage[] = [];
afterAll(() => expect(unanswered).toEqual([]));

/** The host's API server. */
async function hostApi(
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
  onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void = (_, socket) =>
    socket.destroy(),
) {
  const sockets = new Set<Duplex>();
  const server = createServer(onRequest).on('upgrade', onUpgrade).listen(0, '127.0.0.1');
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  cleanups.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return { url: `http://127.0.0.1:${port}`, sockets };
}

const virtualPod = (name: string, nodeName?: string): Pod => ({
  metadata: { namespace: 'shop', name, uid: `uid-${name}` },
  spec: { nodeName, containers: [{ name: 'app' }], ephemeralContainers: [{ name: 'debug' }] },
});
const hostPod = (name: string, uid: string): Pod => ({
  metadata: {
    namespace: 'host-ns',
    name: `${name}-shop-vc-abcdefghij`,
    annotations: { [ANNOTATION_NAME]: name, [ANNOTATION_NAMESPACE]: 'shop', [ANNOTATION_UID]: uid },
  },
});

function kubelet(hostUrl: string, maxStreams?: number): KubeletServer {
  const nodes = createNodeStore();
  nodes.replace([
    { metadata: { name: 'n1' }, status: { addresses: [{ type: 'InternalIP', address: NODE }] } },
    { metadata: { name: 'n2' }, status: { addresses: [{ type: 'InternalIP', address: OTHER_NODE }] } },
  ]);
  const pods = createStore<Pod>({ indexers: { [INDEX.byNode]: ({ spec }) => [spec?.nodeName ?? ''] } });
  pods.replace([
    virtualPod('web', 'n1'),
    virtualPod('replaced', 'n1'),
    virtualPod('early', 'n1'),
    virtualPod('pending'),
  ]);
  const hostPods = createStore<Pod>({
    indexers: { [INDEX.byVirtualKey]: ({ metadata }) => [virtualKeyOf(metadata) ?? ''] },
  });
  hostPods.replace([
    hostPod('web', 'uid-web'),
    hostPod('replaced', 'uid-of-the-one-before'),
    hostPod('pending', 'uid-pending'),
  ]);
  const transport = createTransport({ server: hostUrl, token: () => 'host-token' }, { process: 'syncer' });
  const server = createKubeletServer({
    tls: {
      cert: certificates.kubelet.public,
      key: certificates.kubelet.private,
      clientCa: certificates.ca.public,
    },
    stores: { virtual: { pods, nodes }, host: { pods: hostPods } },
    host: {
      transport,
      translateText: (words, host, virtual) =>
        words
          .replaceAll(host.metadata.name ?? '', virtual.metadata.name ?? '')
          .replaceAll(host.metadata.namespace ?? '', virtual.metadata.namespace ?? ''),
    },
    logger: pino({ level: 'silent' }),
    ...(maxStreams !== undefined && { maxStreams }),
  });
  cleanups.push(async () => {
    await server.close();
    await transport.close();
  });
  return server;
}

/** A connection as the egress gate hands it over, with the API server's end of TLS on it. */
function dial(server: KubeletServer, client: PemPair | undefined, nodeAddress = NODE) {
  const path = join(tmpdir(), `kubelet-${randomUUID()}.sock`);
  const gate = createSocketServer({ allowHalfOpen: true }, (stream) => {
    stream.on('error', () => {});
    server.accept(stream, nodeAddress);
  }).listen(path);
  const near = connect(path);
  cleanups.push(() => {
    near.destroy();
    gate.close();
  });
  const socket = tlsConnect({
    socket: near,
    ca: certificates.ca.public,
    servername: 'kubelet',
    ...(client && { cert: client.public, key: client.private }),
  });
  socket.on('error', () => {});
  return socket;
}

async function send(
  server: KubeletServer,
  path: string,
  {
    client = certificates.apiServer,
    nodeAddress = NODE,
    ...options
  }: RequestOptions & { client?: PemPair; nodeAddress?: string } = {},
) {
  const outgoing = httpsRequest({
    ...options,
    path,
    createConnection: () => dial(server, client, nodeAddress),
  });
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return response;
}

async function ask(server: KubeletServer, path: string, options: Parameters<typeof send>[2] = {}) {
  const response = await send(server, path, options);
  return { status: response.statusCode, body: await text(response) };
}

interface Upgraded {
  head: string;
  socket: Duplex;
  rest: Buffer;
}

/** Sends an upgrade byte by byte as Go does, and reads the head of the answer. */
async function upgrade(
  server: KubeletServer,
  path: string,
  fields: string[],
  method = 'POST',
): Promise<Upgraded> {
  const socket = dial(server, certificates.apiServer);
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${NODE}:10250\r\n${fields.join('\r\n')}\r\n\r\n`);
  let received = Buffer.alloc(0);
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf('\r\n\r\n');
    if (end >= 0)
      return { head: received.toString('latin1', 0, end), socket, rest: received.subarray(end + 4) };
  }
}

const SPDY = [
  'Connection: Upgrade',
  'Upgrade: SPDY/3.1',
  'X-Stream-Protocol-Version: v5.channel.k8s.io',
  'X-Stream-Protocol-Version: v4.channel.k8s.io',
];

const noHost = () => hostApi((_, response) => void response.writeHead(500).end());

describe('who may ask', () => {
  it('is the API server', async () => {
    const server = kubelet((await noHost()).url);
    expect(await ask(server, '/healthz')).toEqual({ status: 200, body: 'ok' });
  });

  it('is no other client that the same authority signed', async () => {
    const server = kubelet((await noHost()).url);
    expect(await ask(server, '/healthz', { client: certificates.user })).toMatchObject({ status: 403 });
  });

  it('is nobody without a certificate, or with one of another authority', async () => {
    const server = kubelet((await noHost()).url);
    for (const client of [undefined, certificates.stranger]) {
      const socket = dial(server, client);
      socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
      let received = '';
      socket.on('data', (chunk) => {
        received += String(chunk);
      });
      await new Promise((resolve) => socket.once('close', resolve));
      expect(received).toBe('');
    }
  });
});

describe('the pods of a node', () => {
  it('are the virtual ones', async () => {
    const server = kubelet((await noHost()).url);
    const { body } = await ask(server, '/pods');
    expect(JSON.parse(body)).toMatchObject({ kind: 'PodList', items: [{}, {}, {}] });
    expect(body).not.toContain('host-ns');
    expect(JSON.parse((await ask(server, '/pods', { nodeAddress: OTHER_NODE })).body).items).toEqual([]);
  });
});

describe('logs', () => {
  it('come from the host pod, asked with the syncer’s own credentials only', async () => {
    const seen: IncomingMessage[] = [];
    const host = await hostApi((request, response) => {
      seen.push(request);
      response.end('line 1\nline 2\n');
    });
    const server = kubelet(host.url);
    const headers = {
      authorization: 'Bearer virtual-token',
      'impersonate-user': 'system:admin',
      'x-remote-user': 'admin',
      connection: 'x-hop',
      'x-hop': '1',
      'x-forwarded-for': '1.2.3.4',
    };
    expect(await ask(server, '/containerLogs/shop/web/app?tailLines=2', { headers })).toEqual({
      status: 200,
      body: 'line 1\nline 2\n',
    });
    expect(seen[0]?.url).toBe(
      '/api/v1/namespaces/host-ns/pods/web-shop-vc-abcdefghij/log?container=app&tailLines=2',
    );
    expect(Object.keys(seen[0]?.headers ?? {}).sort()).toEqual([
      'authorization',
      'connection',
      'host',
      'user-agent',
    ]);
    expect(seen[0]?.headers.authorization).toBe('Bearer host-token');
  });

  it('arrive as they are written, and stop at the host when the API server hangs up', async () => {
    const atHost = Promise.withResolvers<ServerResponse>();
    const host = await hostApi((_, response) => {
      response.write('first\n');
      atHost.resolve(response);
    });
    const server = kubelet(host.url);
    const response = await send(server, '/containerLogs/shop/web/debug?follow=true');
    expect(String(await once(response, 'data'))).toBe('first\n');
    (await atHost.promise).write('second\n');
    expect(String(await once(response, 'data'))).toBe('second\n');
    response.destroy();
    await once(await atHost.promise, 'close');
    await expect.poll(() => server.streams).toBe(0);
  });

  it('break instead of ending when the host breaks', async () => {
    const host = await hostApi((_, response) => {
      response.write('first\n', () => response.destroy());
    });
    const server = kubelet(host.url);
    const response = await send(server, '/containerLogs/shop/web/app?follow=true');
    await expect(text(response)).rejects.toThrow();
    await expect.poll(() => server.streams).toBe(0);
  });

  it('tell what the host said with the names inside', async () => {
    const host = await hostApi((_, response) => {
      const message = 'container "app" in pod "web-shop-vc-abcdefghij" in host-ns is waiting to start';
      response.writeHead(400).end(JSON.stringify({ kind: 'Status', message, reason: 'BadRequest' }));
    });
    expect(await ask(kubelet(host.url), '/containerLogs/shop/web/app')).toEqual({
      status: 400,
      body: 'container "app" in pod "web" in shop is waiting to start',
    });
  });

  it('never tell who the syncer is on the host', async () => {
    const host = await hostApi((_, response) => {
      const message = 'pods "x" is forbidden: User "system:serviceaccount:host-ns:vc" cannot get resource';
      response.writeHead(403).end(JSON.stringify({ kind: 'Status', message }));
    });
    const answered = await ask(kubelet(host.url), '/containerLogs/shop/web/app');
    expect(answered.status).toBe(502);
    expect(answered.body).not.toContain('serviceaccount');
  });

  it('are unavailable when the host is', async () => {
    const server = kubelet('http://127.0.0.1:1');
    expect(await ask(server, '/containerLogs/shop/web/app')).toMatchObject({ status: 503 });
  });
});

describe('a pod', () => {
  it.each([
    ['that does not exist', '/containerLogs/shop/nothing/app', NODE],
    ['of another namespace', '/containerLogs/other/web/app', NODE],
    ['on another node', '/containerLogs/shop/web/app', OTHER_NODE],
    ['on a node that nobody knows', '/containerLogs/shop/web/app', '10.0.0.1'],
    ['on no node yet', '/containerLogs/shop/pending/app', NODE],
    ['whose host pod belongs to one before it', '/containerLogs/shop/replaced/app', NODE],
    ['without a host pod', '/containerLogs/shop/early/app', NODE],
    ['without that container', '/containerLogs/shop/web/other', NODE],
  ])('%s is not found, and the host is not asked', async (_, path, nodeAddress) => {
    const host = await hostApi((request) => void unanswered.push(request));
    expect(await ask(kubelet(host.url), path, { nodeAddress })).toMatchObject({ status: 404 });
  });

  it('of another uid than the one meant is not found', async () => {
    const host = await hostApi((request) => void unanswered.push(request));
    const { head } = await upgrade(kubelet(host.url), '/exec/shop/web/uid-other/app?output=1', SPDY);
    expect(head).toMatch(/^HTTP\/1.1 404 /);
  });
});

describe('a stream', () => {
  const echo = (seen: IncomingMessage[]) => (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    seen.push(request);
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v5.channel.k8s.io\r\nX-Host: secret\r\n\r\nhello ',
    );
    socket.write(head);
    socket.pipe(socket);
  };

  it('carries bytes both ways, the first ones too, under heads that hold the protocol’s fields only', async () => {
    const seen: IncomingMessage[] = [];
    const host = await hostApi(() => {}, echo(seen));
    const server = kubelet(host.url);
    const { head, socket, rest } = await upgrade(server, '/exec/shop/web/uid-web/app?command=ls&output=1', [
      ...SPDY,
      'Authorization: Bearer virtual-token',
      'Impersonate-User: system:admin',
      'X-Forwarded-For: 1.2.3.4',
    ]);
    expect(head.split('\r\n')).toEqual([
      'HTTP/1.1 101 Switching Protocols',
      'connection: Upgrade',
      'upgrade: SPDY/3.1',
      'x-stream-protocol-version: v5.channel.k8s.io',
    ]);
    socket.write('world');
    let received = rest.toString();
    while (received.length < 'hello world'.length) received += String(await once(socket, 'data'));
    expect(received).toBe('hello world');
    expect(seen[0]).toMatchObject({
      method: 'POST',
      url: '/api/v1/namespaces/host-ns/pods/web-shop-vc-abcdefghij/exec?container=app&stdin=false&stdout=true&stderr=false&tty=false&command=ls',
    });
    expect(seen[0]?.headersDistinct).toEqual({
      authorization: ['Bearer host-token'],
      connection: ['Upgrade'],
      'content-length': ['0'],
      host: [expect.anything()],
      upgrade: ['SPDY/3.1'],
      'x-stream-protocol-version': ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
    });
  });

  it('of a WebSocket keeps its key, and the channel protocols but not the one that holds a token', async () => {
    const seen: IncomingMessage[] = [];
    const host = await hostApi(() => {}, echo(seen));
    await upgrade(
      kubelet(host.url),
      '/portForward/shop/web?port=80',
      [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.dG9rZW4, v4.channel.k8s.io',
      ],
      'GET',
    );
    expect(seen[0]).toMatchObject({
      method: 'GET',
      headers: {
        upgrade: 'websocket',
        'sec-websocket-protocol': 'v4.channel.k8s.io',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    });
  });

  it('ends on both sides when either ends', async () => {
    const hostSockets: Duplex[] = [];
    const host = await hostApi(
      () => {},
      (request, socket, head) => {
        hostSockets.push(socket);
        echo([])(request, socket, head);
      },
    );
    const server = kubelet(host.url);
    const first = await upgrade(server, '/attach/shop/web/app?output=1', SPDY);
    first.socket.resume().destroy();
    await expect.poll(() => hostSockets[0]?.destroyed).toBe(true);
    const second = await upgrade(server, '/attach/shop/web/app?output=1', SPDY);
    const closed = once(second.socket.resume(), 'close');
    hostSockets[1]?.destroy();
    await closed;
    await expect.poll(() => server.streams).toBe(0);
  });

  it('is broken when the syncer ends', async () => {
    const host = await hostApi(() => {}, echo([]));
    const server = kubelet(host.url);
    const { socket } = await upgrade(server, '/exec/shop/web/app?output=1', SPDY);
    const closed = once(socket.resume(), 'close');
    await server.close();
    await closed;
    await expect.poll(() => host.sockets.size).toBe(0);
  });

  it('that the host refuses is refused in its words, with the names inside', async () => {
    const host = await hostApi(
      () => {},
      (_, socket) => {
        const body = JSON.stringify({
          kind: 'Status',
          reason: 'NotFound',
          message: 'container missing in web-shop-vc-abcdefghij',
        });
        socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      },
    );
    const { head, rest, socket } = await upgrade(kubelet(host.url), '/exec/shop/web/app?output=1', SPDY);
    expect(head).toMatch(/^HTTP\/1.1 404 /);
    const body = rest.toString() + (await text(socket));
    expect(JSON.parse(body)).toEqual({
      apiVersion: 'v1',
      kind: 'Status',
      status: 'Failure',
      code: 404,
      reason: 'NotFound',
      message: 'container missing in web',
    });
  });

  it.each([
    ['another protocol', '/exec/shop/web/app?output=1', ['Connection: Upgrade', 'Upgrade: h2c'], 400],
    ['a WebSocket without a key', '/exec/shop/web/app', ['Connection: Upgrade', 'Upgrade: websocket'], 400],
    ['a path that is none', '/exec/shop/%2e%2e/app', SPDY, 404],
    ['a path without streams', '/healthz', SPDY, 404],
  ])('is refused for %s', async (_, path, fields, status) => {
    const host = await hostApi((request) => void unanswered.push(request));
    const { head } = await upgrade(kubelet(host.url), path, fields);
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it('is needed for exec', async () => {
    const server = kubelet((await noHost()).url);
    expect(await ask(server, '/exec/shop/web/app', { method: 'POST' })).toMatchObject({ status: 400 });
  });

  it('is refused when too many are open', async () => {
    const host = await hostApi(() => {}, echo([]));
    const server = kubelet(host.url, 1);
    await upgrade(server, '/exec/shop/web/app?output=1', SPDY);
    expect((await upgrade(server, '/exec/shop/web/app?output=1', SPDY)).head).toMatch(/^HTTP\/1.1 429 /);
  });
});
