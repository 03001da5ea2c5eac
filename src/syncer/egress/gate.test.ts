import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createStore } from '../../kube/store.ts';
import { ANNOTATION_UID } from '../names.ts';
import type { Pod, Service } from '../objects.ts';
import { createNodeStore, INDEX } from '../stores.ts';
import { createAllowList } from './allow-list.ts';
import { createEgressGate, type EgressGate, type EgressGateDeps } from './gate.ts';

const cleanups: (() => unknown)[] = [];
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'egress-'));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(folder, { recursive: true });
});

/** A pod at 127.0.0.1 that does with its connections what the test says. */
async function podServer(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  }).listen(0, '127.0.0.1');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

async function gate(deps: Partial<EgressGateDeps> = {}) {
  const nodes = createNodeStore();
  nodes.replace([
    { metadata: { name: 'n1' }, status: { addresses: [{ type: 'InternalIP', address: '192.168.0.5' }] } },
  ]);
  const pods = createStore<Pod>({
    indexers: { [INDEX.byPodIp]: ({ status }) => (status?.podIPs ?? []).map(({ ip }) => ip) },
  });
  pods.replace([
    {
      metadata: { name: 'web', annotations: { [ANNOTATION_UID]: 'u' } },
      status: { podIPs: [{ ip: '127.0.0.1' }, { ip: '192.0.2.1' }] },
    },
  ]);
  const accepted: string[] = [];
  const echo = (stream: Duplex) => stream.pipe(stream);
  const created = createEgressGate({
    stores: {
      virtual: { nodes },
      host: { pods, services: createStore<Service>({ indexers: { [INDEX.byClusterIp]: () => [] } }) },
    },
    allowList: createAllowList([]),
    kubelet: {
      accept(stream, nodeAddress) {
        accepted.push(nodeAddress);
        echo(stream);
      },
    },
    admission: { accept: echo },
    metrics: { accept: echo },
    logger: pino({ level: 'silent' }),
    ...deps,
  });
  cleanups.push(() => created.close());
  await created.listen('cluster', join(folder, 'cluster.sock'));
  await created.listen('controlplane', join(folder, 'controlplane.sock'));
  return { gate: created, accepted };
}

/** Sends what kube-apiserver sends, and reads the head of the answer. */
async function connectTo(authority: string, selector = 'cluster') {
  const socket = connect({ path: join(folder, `${selector}.sock`), allowHalfOpen: true });
  cleanups.push(() => socket.destroy());
  socket.on('error', () => {});
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  let head = '';
  while (!head.includes('\r\n\r\n')) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    head += chunk.toString('latin1');
  }
  const [statusLine = ''] = head.split('\r\n');
  return { socket, status: statusLine.slice('HTTP/1.1 '.length), rest: head.split('\r\n\r\n')[1] ?? '' };
}

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += chunk.toString();
  return text;
}

const idle = async (opened: EgressGate) => expect.poll(() => opened.tunnels).toBe(0);

describe('a tunnel', () => {
  it('carries bytes both ways, and each end of a direction on its own', async () => {
    const port = await podServer(async (socket) => {
      socket.end(`heard ${await textOf(socket)}`);
    });
    const { gate: opened } = await gate();
    const { socket, status } = await connectTo(`127.0.0.1:${port}`);
    expect(status).toBe('200 OK');
    socket.end('hello');
    expect(await textOf(socket)).toBe('heard hello');
    await idle(opened);
  });

  it('ends when the pod breaks it', async () => {
    const port = await podServer((socket) => socket.on('data', () => socket.resetAndDestroy()));
    const { gate: opened } = await gate();
    const { socket } = await connectTo(`127.0.0.1:${port}`);
    const closed = once(socket, 'close');
    socket.write('x');
    socket.on('end', () => socket.end());
    await closed;
    await idle(opened);
  });

  it('ends at the pod when the API server breaks it', async () => {
    const ended = Promise.withResolvers<void>();
    const port = await podServer((socket) => {
      socket.resume();
      socket.on('end', () => {
        socket.end();
        ended.resolve();
      });
    });
    const { gate: opened } = await gate();
    const { socket } = await connectTo(`127.0.0.1:${port}`);
    socket.destroy();
    await ended.promise;
    await idle(opened);
  });

  it('is broken when the gate closes', async () => {
    const port = await podServer((socket) => socket.resume());
    const { gate: opened } = await gate();
    const tunnels = await Promise.all([connectTo(`127.0.0.1:${port}`), connectTo('192.168.0.5:10250')]);
    expect(opened.tunnels).toBe(2);
    const closed = tunnels.map(({ socket }) =>
      once(
        socket.resume().on('end', () => socket.end()),
        'close',
      ),
    );
    await opened.close();
    await Promise.all(closed);
    expect(opened.tunnels).toBe(0);
  });
});

describe('the kubelet and the admission server', () => {
  it('take over the stream, the kubelet with the address of the node', async () => {
    const { accepted } = await gate();
    const kubelet = await connectTo('192.168.0.5:10250');
    kubelet.socket.end('ping');
    expect(await textOf(kubelet.socket)).toBe('ping');
    expect(accepted).toEqual(['192.168.0.5']);
    const admission = await connectTo('admission.syncer.mayfly.internal:443', 'controlplane');
    admission.socket.end('pong');
    expect(await textOf(admission.socket)).toBe('pong');
  });
});

describe('a refusal', () => {
  it('has its reason in the status line, which is what the API server shows', async () => {
    const { gate: opened } = await gate();
    expect((await connectTo('169.254.169.254:80')).status).toBe(
      '403 169.254.169.254:80 is not a pod or a Service port of this virtual cluster',
    );
    await idle(opened);
  });

  it('never repeats what is no target', async () => {
    await gate();
    expect((await connectTo('http://evil/%0d%0aX:1')).status).toMatch(/^403 the target is not an address/);
  });

  it('says when nobody listens', async () => {
    const port = await podServer(() => {});
    for (const cleanup of cleanups.splice(-1)) await cleanup();
    await gate();
    expect((await connectTo(`127.0.0.1:${port}`)).status).toBe(
      `502 cannot connect to 127.0.0.1:${port}: ECONNREFUSED`,
    );
  });

  it('comes when too many tunnels are open', async () => {
    await gate({ maxTunnels: 1 });
    await connectTo('192.168.0.5:10250');
    expect((await connectTo('192.168.0.5:10250')).status).toMatch(/^503 /);
  });

  it('meets every method but CONNECT', async () => {
    await gate();
    const socket = connect(join(folder, 'cluster.sock'));
    socket.write('GET http://169.254.169.254/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(await textOf(socket)).toMatch(/^HTTP\/1.1 405 /);
  });
});

describe('an external webhook', () => {
  const listed = (resolve: EgressGateDeps['resolve'], ...entries: string[]) =>
    gate({ allowList: createAllowList(entries), resolve });

  it('is dialled at the address it resolved to, when the operator listed that private address too', async () => {
    const port = await podServer((socket) => socket.end('hook'));
    let resolved = 0;
    const resolve = async () => {
      resolved++;
      return ['127.0.0.2', '127.0.0.1'];
    };
    await listed(resolve, `hooks.example.com:${port}`, `127.0.0.1:${port}`);
    const { socket, status, rest } = await connectTo(`hooks.example.com:${port}`, 'controlplane');
    expect(status).toBe('200 OK');
    socket.end();
    expect(rest + (await textOf(socket))).toBe('hook');
    expect(resolved).toBe(1);
  });

  it('is refused when it resolves into a private network', async () => {
    await listed(async () => ['127.0.0.1', '169.254.169.254', '10.0.0.1', '::1'], 'hooks.example.com:443');
    expect((await connectTo('hooks.example.com:443', 'controlplane')).status).toMatch(
      /^403 hooks.example.com resolves/,
    );
  });

  it('is unavailable when it does not resolve', async () => {
    await listed(async () => Promise.reject(new Error('ENOTFOUND')), 'hooks.example.com:443');
    expect((await connectTo('hooks.example.com:443', 'controlplane')).status).toBe(
      '502 hooks.example.com cannot be resolved',
    );
  });
});

it('takes the place of a socket file that a killed process left', async () => {
  writeFileSync(join(folder, 'cluster.sock'), '');
  const { gate: opened } = await gate();
  expect((await connectTo('192.168.0.5:10250')).status).toBe('200 OK');
  await opened.close();
  expect(existsSync(join(folder, 'cluster.sock'))).toBe(false);
});
