// A virtual kubelet between a made-up host API and the connections of an API server, all over real sockets and TLS.
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
import { beforeAll, onTestFinished } from 'vitest';
import { createAuthority, createLeaf, type PemPair } from '../../src/certificates/issue.ts';
import { createStore, type ReadStore } from '../../src/kube/store.ts';
import { createTransport } from '../../src/kube/transport.ts';
import { createKubeletServer, type KubeletServer } from '../../src/syncer/kubelet/server.ts';
import type { PodUsage } from '../../src/syncer/metrics/usage.ts';
import {
  ANNOTATION_NAME,
  ANNOTATION_NAMESPACE,
  ANNOTATION_UID,
  virtualKeyOf,
} from '../../src/syncer/names.ts';
import type { Pod } from '../../src/syncer/objects.ts';
import { createNodeStore, INDEX } from '../../src/syncer/stores.ts';

export const NODE = '192.168.0.5';
export const OTHER_NODE = '192.168.0.6';

/** Made once for a test file. */
export let certificates: Record<'ca' | 'kubelet' | 'apiServer' | 'user' | 'stranger', PemPair>;
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

/** The host's API server. */
export async function hostApi(
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
  onTestFinished(() => {
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

/** A kubelet server over the pods above; of usage it knows nothing unless told. */
export function kubelet(
  hostUrl: string,
  maxStreams = 64,
  usage: (pods: ReadStore<Pod>) => PodUsage[] = () => [],
): KubeletServer {
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
    usage: { read: async () => usage(pods) },
    host: {
      transport,
      translateText: (words, host, virtual) =>
        words
          .replaceAll(host.metadata.name ?? '', virtual.metadata.name ?? '')
          .replaceAll(host.metadata.namespace ?? '', virtual.metadata.namespace ?? ''),
    },
    logger: pino({ level: 'silent' }),
    maxStreams,
  });
  onTestFinished(async () => {
    await server.close();
    await transport.close();
  });
  return server;
}

/** A connection as the egress gate hands it over, with the API server's end of TLS on it. */
export function dial(server: KubeletServer, client: PemPair | undefined, nodeAddress = NODE) {
  const path = join(tmpdir(), `kubelet-${randomUUID()}.sock`);
  const gate = createSocketServer({ allowHalfOpen: true }, (stream) => {
    stream.on('error', () => {});
    server.accept(stream, nodeAddress);
  }).listen(path);
  const near = connect(path);
  onTestFinished(() => {
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

export async function send(
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

export async function ask(server: KubeletServer, path: string, options: Parameters<typeof send>[2] = {}) {
  const response = await send(server, path, options);
  return { status: response.statusCode, body: await text(response) };
}

interface Upgraded {
  head: string;
  socket: Duplex;
  rest: Buffer;
}

/** Sends an upgrade byte by byte as Go does, and reads the head of the answer. */
export async function upgrade(
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

/** The fields of the upgrade that the API server makes. */
export const SPDY = [
  'Connection: Upgrade',
  'Upgrade: SPDY/3.1',
  'X-Stream-Protocol-Version: v5.channel.k8s.io',
  'X-Stream-Protocol-Version: v4.channel.k8s.io',
];

/** For tests that never get as far as the host. */
export const noHost = () => hostApi((_, response) => void response.writeHead(500).end());

/** Fails the test that let a request through to the host. */
export function neverAsked(request: IncomingMessage): never {
  throw new Error(`the host was asked for ${request.url}`);
}
