// The gateway to virtual clusters, before a TLS server with the cluster's own certificates in place of its API server.
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createCertificates } from '../../../src/certificates/certificates.ts';
import { adminKubeconfig, kubeconfigSecretName } from '../../../src/certificates/secrets.ts';
import { connectionFromKubeconfig } from '../../../src/kube/kubeconfig.ts';
import { SECRETS } from '../../../src/kube/resource.ts';
import { rawClient } from './raw-socket.ts';
import { startService, statusWith, type TestService } from './service.ts';

const HOST_NAMESPACE = 'mayfly-shop-x';
const BASE = '/v1/environments/shop/cluster';
const TOKEN = { authorization: 'Bearer of-the-cluster' };

let service: TestService;
let apiServer: Server;
let respond: RequestListener;

beforeAll(async () => {
  const identity = { cluster: 'shop', namespace: HOST_NAMESPACE, serviceIps: ['127.0.0.1'], extraNames: [] };
  const files = await createCertificates({ ...identity, now: new Date(), lifetimeMs: 3_600_000 });
  apiServer = createServer(
    {
      cert: files['apiserver.crt'],
      key: files['apiserver.key'],
      ca: files['ca.crt'],
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => respond(request, response),
  );
  apiServer.on('upgrade', (request: IncomingMessage, socket) => {
    const { upgrade, authorization } = request.headers;
    if (request.url?.startsWith('/refused')) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}');
      return;
    }
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`);
    socket.write(`${request.method} ${request.url} ${authorization} ${request.headers['x-remote-user']};`);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => apiServer.listen(0, '127.0.0.1', resolve));
  const { port } = apiServer.address() as AddressInfo;

  service = await startService({ serverOf: () => `https://127.0.0.1:${port}` });
  const kubeconfig = adminKubeconfig(files, { name: 'shop', server: 'https://198.51.100.1:1' });
  service.host.put(SECRETS, {
    metadata: { namespace: HOST_NAMESPACE, name: kubeconfigSecretName('shop') },
    data: { config: Buffer.from(kubeconfig).toString('base64') },
  });
  await service.environment('shop', statusWith(['Provisioned'], { host: { namespace: HOST_NAMESPACE } }));
  await service.environment('bare');
});
beforeEach(() => {
  respond = (_request, response) => response.end('{}');
});
afterAll(async () => {
  apiServer.closeAllConnections();
  apiServer.close();
  await service[Symbol.asyncDispose]();
});

describe('a request with a token of the cluster', () => {
  test('reaches its API server as it is, and as nobody but the caller', async () => {
    let seen: IncomingMessage | undefined;
    let hasCertificate = true;
    respond = (request, response) => {
      seen = request;
      hasCertificate = 'subject' in (request.socket as TLSSocket).getPeerCertificate();
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"kind":"PodList"}');
    };
    const answer = await service.call(`${BASE}/api/v1/pods?limit=500&labelSelector=a%3Db%2Fc`, {
      headers: TOKEN,
    });
    expect(answer).toMatchObject({ status: 200, body: '{"kind":"PodList"}' });
    expect(seen?.url).toBe('/api/v1/pods?limit=500&labelSelector=a%3Db%2Fc');
    expect(seen?.headers.authorization).toBe('Bearer of-the-cluster');
    expect(hasCertificate).toBe(false);
  });

  test('T12: brings no word of a front proxy and no cookie, and who it wants to act as is for the cluster to judge', async () => {
    let seen: IncomingMessage['headers'] = {};
    respond = (request, response) => {
      seen = request.headers;
      response.end();
    };
    await service.call(`${BASE}/version`, {
      headers: {
        ...TOKEN,
        'x-remote-user': 'system:admin',
        'X-Remote-Group': 'system:masters',
        'x-remote-extra-scopes': 'all',
        'x-forwarded-for': '10.0.0.1',
        cookie: 'session=1',
        'impersonate-user': 'jane',
        'proxy-authorization': 'Basic x',
        connection: 'x-hidden',
        'x-hidden': '1',
      },
    });
    expect(Object.keys(seen).filter((name) => /^(x-|cookie|proxy-)/.test(name))).toEqual([]);
    expect(seen['impersonate-user']).toBe('jane');
  });

  test('streams a watch as it comes', async () => {
    respond = (_request, response) => {
      response.write('{"type":"ADDED"}\n');
      setTimeout(() => response.end('{"type":"DELETED"}\n'), 50);
    };
    const client = rawClient(service.port, [
      `GET ${BASE}/api/v1/pods?watch=true HTTP/1.1`,
      'Host: mayfly.test',
      'Authorization: Bearer of-the-cluster',
    ]);
    expect(await client.until('ADDED')).not.toContain('DELETED');
    await client.until('DELETED');
    client.socket.destroy();
  });

  test('T28: brings back nothing that acts on the origin of the service', async () => {
    respond = (_request, response) => response.setHeader('set-cookie', 'a=1').end('<script>');
    const { headers } = await service.call(`${BASE}/api/v1/namespaces/default/services/web/proxy/`, {
      headers: TOKEN,
    });
    expect(headers['set-cookie']).toBeUndefined();
    expect(headers).toMatchObject({
      'content-security-policy': 'sandbox',
      'x-content-type-options': 'nosniff',
    });
  });
});

describe('an upgraded stream', () => {
  test.each([
    ['GET', 'websocket'],
    ['POST', 'SPDY/3.1'],
  ])('%s %s is carried both ways', async (method, protocol) => {
    const path = '/api/v1/namespaces/default/pods/web/exec?command=sh';
    const client = rawClient(service.port, [
      `${method} ${BASE}${path} HTTP/1.1`,
      'Host: mayfly.test',
      'Authorization: Bearer of-the-cluster',
      'Connection: Upgrade',
      `Upgrade: ${protocol}`,
      'X-Remote-User: system:admin',
      'Content-Length: 0',
    ]);
    const head = await client.until(';');
    expect(head).toMatch(/^HTTP\/1.1 101 /);
    expect(head).toContain(`${method} ${path} Bearer of-the-cluster undefined;`);
    client.socket.write('ping');
    await client.until('ping');
    client.socket.destroy();
  });

  test('that the API server refuses is answered with what it says', async () => {
    const client = rawClient(service.port, [
      `GET ${BASE}/refused HTTP/1.1`,
      'Host: mayfly.test',
      'Authorization: Bearer of-the-cluster',
      'Connection: Upgrade',
      'Upgrade: websocket',
    ]);
    expect(await client.end()).toMatch(/^HTTP\/1.1 403 .*\{\}$/s);
  });

  test('T12: with a token in its subprotocol is refused', async () => {
    const client = rawClient(service.port, [
      `GET ${BASE}/api HTTP/1.1`,
      'Host: mayfly.test',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Authorization: Bearer of-the-cluster',
      'Sec-WebSocket-Protocol: v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.eHg',
    ]);
    expect(await client.end()).toMatch(/^HTTP\/1.1 401 /);
  });

  test('of somebody without a token is refused', async () => {
    const client = rawClient(service.port, [
      `GET ${BASE}/api HTTP/1.1`,
      'Host: mayfly.test',
      'Connection: Upgrade',
      'Upgrade: websocket',
    ]);
    expect(await client.end()).toMatch(/^HTTP\/1.1 401 /);
  });
});

describe('nobody learns which environments there are', () => {
  test.each<[string, string, Record<string, string>]>([
    ['without a token', BASE, {}],
    ['with a password', BASE, { authorization: 'Basic eDp5' }],
    ['of an unknown environment', '/v1/environments/none/cluster', TOKEN],
    ['of an unknown environment without a token', '/v1/environments/none/cluster', {}],
  ])('%s: 401 in the words of Kubernetes', async (_, base, headers) => {
    const answer = await service.call(`${base}/api`, { headers });
    expect(answer.status).toBe(401);
    expect(JSON.parse(answer.body)).toMatchObject({ kind: 'Status', reason: 'Unauthorized', code: 401 });
  });
});

test('says that an environment has no cluster yet', async () => {
  const answer = await service.call('/v1/environments/bare/cluster/api', { headers: TOKEN });
  expect(answer.status).toBe(503);
  expect(JSON.parse(answer.body)).toMatchObject({ reason: 'ServiceUnavailable' });
});

test.each([`${BASE}/../../bare`, `${BASE}/%2e%2e/x`, `${BASE}//api`, `${BASE}/api;x`])(
  'T11: %s is refused before anybody is asked',
  async (path) => {
    respond = () => {
      throw new Error('was asked');
    };
    expect((await service.call(path, { headers: TOKEN })).status).toBe(400);
  },
);

test('T11: an absolute target is refused', async () => {
  const client = rawClient(service.port, ['GET http://127.0.0.1:1/ HTTP/1.1', 'Host: mayfly.test']);
  expect(await client.until('\r\n')).toMatch(/^HTTP\/1.1 400 /);
  client.socket.destroy();
});

test('T17: a kubeconfig leads through the service with a token that ends with the environment', async () => {
  let asked: unknown;
  let path: string | undefined;
  let user: string | undefined;
  respond = async (request, response) => {
    path = request.url;
    user = String((request.socket as TLSSocket).getPeerCertificate().subject.O);
    asked = await json(request);
    const status = { token: 'issued', expirationTimestamp: '2026-01-01T00:00:00Z' };
    response
      .writeHead(201, { 'content-type': 'application/json' })
      .end(JSON.stringify({ metadata: {}, status }));
  };
  const answer = await service.api('alice', 'GET', '/v1/environments/shop/kubeconfig');
  expect(answer).toMatchObject({ status: 200, headers: { 'content-type': expect.stringContaining('yaml') } });
  const connection = connectionFromKubeconfig(answer.body);
  expect(connection).toMatchObject({ server: `http://mayfly.test${BASE}`, cert: undefined, key: undefined });
  expect(await connection.token?.()).toBe('issued');
  expect(path).toBe('/api/v1/namespaces/kube-system/serviceaccounts/mayfly-user/token');
  expect(user).toBe('system:masters');
  const { spec } = asked as { spec: { expirationSeconds: number } };
  expect(spec.expirationSeconds).toBeLessThanOrEqual(3_600);
  expect(spec.expirationSeconds).toBeGreaterThan(3_500);
});
