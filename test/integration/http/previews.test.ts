// The preview gateway before a real app: what reaches the app, what reaches the visitor, and what strangers see.
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { previewHostLabel } from '../../../src/environments/names.ts';
import { ENVIRONMENTS, type Environment } from '../../../src/environments/resource.ts';
import { eventually } from '../../support/eventually.ts';
import { rawClient } from './raw-socket.ts';
import { NAMESPACE, PREVIEW_DOMAIN, startService, statusWith, type TestService } from './service.ts';

let service: TestService;
let app: Server;
let respond: RequestListener;
let appPort: number;

beforeAll(async () => {
  service = await startService();
  app = createServer((request, response) => respond(request, response));
  app.on('upgrade', (request: IncomingMessage, socket, head: Buffer) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    socket.write(`seen ${request.headers['x-forwarded-host']} ${head.toString()}`);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  appPort = (app.address() as AddressInfo).port;
});
beforeEach(() => {
  respond = (_request, response) => response.end('hello');
});
afterAll(async () => {
  app.closeAllConnections();
  app.close();
  await service[Symbol.asyncDispose]();
});

/** A published preview of the app; its host. */
async function published(name: string, port = appPort): Promise<string> {
  const environment = await service.environment(name);
  const hostLabel = previewHostLabel(name, environment.metadata.uid ?? '');
  const host = `${hostLabel}.${PREVIEW_DOMAIN}`;
  const endpoints = [{ name: '', url: `http://${host}`, hostLabel, clusterIp: '127.0.0.1', port }];
  await become(name, statusWith(['Provisioned', 'Deployed', 'Published', 'Ready'], { endpoints }));
  return host;
}

async function become(name: string, status: Environment['status']): Promise<void> {
  const changed = service.host.change<Environment>(ENVIRONMENTS, `${NAMESPACE}/${name}`, (environment) => {
    environment.status = status;
  });
  await eventually(
    async () =>
      service.store.get(name)?.metadata.resourceVersion === changed.metadata.resourceVersion || undefined,
    { what: 'the store has seen it', timeoutMs: 5_000, intervalMs: 5 },
  );
}

const visit = (host: string, path = '/', headers: Record<string, string> = {}) =>
  service.call(path, { headers: { host, ...headers } });

describe('a published preview', () => {
  let host: string;
  beforeAll(async () => {
    host = await published('shop');
  });

  test('is answered by its app, which sees the visitor and its own address', async () => {
    let seen: IncomingMessage['headers'] = {};
    let url: string | undefined;
    respond = (request, response) => {
      seen = request.headers;
      url = request.url;
      response.setHeader('set-cookie', ['a=1', 'b=2']).end('shop');
    };
    const answer = await visit(host, '/v1/environments?q=%2F..//x', {
      'x-forwarded-for': '203.0.113.9',
      'x-forwarded-proto': 'gopher',
      forwarded: 'for=203.0.113.9',
      cookie: 'session=1',
    });
    expect(answer).toMatchObject({ status: 200, body: 'shop' });
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(url).toBe('/v1/environments?q=%2F..//x');
    expect(seen).toMatchObject({
      host,
      cookie: 'session=1',
      'x-forwarded-for': '203.0.113.9, 127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': host,
    });
    expect(seen.forwarded).toBeUndefined();
  });

  test('T22: is hidden from search engines, and its address from other sites', async () => {
    const { headers } = await visit(host);
    expect(headers).toMatchObject({ 'x-robots-tag': 'noindex, nofollow', 'referrer-policy': 'same-origin' });
    respond = (_request, response) => response.setHeader('referrer-policy', 'origin').end();
    expect((await visit(host)).headers['referrer-policy']).toBe('origin');
  });

  test('T12: gets no header that was about the connection before it', async () => {
    let seen: IncomingMessage['headers'] = {};
    respond = (request, response) => {
      seen = request.headers;
      response.end();
    };
    await visit(host, '/', {
      connection: 'close, X-Secret, x-forwarded-host',
      'x-secret': '1',
      'proxy-authorization': 'Basic x',
      te: 'trailers',
    });
    expect(seen['x-secret']).toBeUndefined();
    expect(seen['proxy-authorization']).toBeUndefined();
    expect(seen.te).toBeUndefined();
    expect(seen['x-forwarded-host']).toBe(host);
  });

  test('streams in both directions without waiting for the end', async () => {
    respond = (request, response) => {
      response.write('ready\n');
      request.pipe(response);
    };
    const client = rawClient(service.port, [
      'POST / HTTP/1.1',
      `Host: ${host}`,
      'Transfer-Encoding: chunked',
    ]);
    await client.until('ready\n');
    client.socket.write('5\r\nfirst\r\n');
    await client.until('first');
    client.socket.write('6\r\nsecond\r\n0\r\n\r\n');
    await client.until('second');
    client.socket.destroy();
  });

  test('takes WebSockets', async () => {
    const client = rawClient(service.port, [
      'GET /socket HTTP/1.1',
      `Host: ${host}`,
      'Connection: keep-alive, Upgrade',
      'Upgrade: websocket',
    ]);
    expect(await client.until(`seen ${host}`)).toMatch(/^HTTP\/1.1 101 /);
    client.socket.write('ping');
    await client.until('ping');
    client.socket.destroy();
  });

  test('is asked without the upgrade when a visitor offers one that nobody wants', async () => {
    let upgrade: string | undefined;
    respond = (request, response) => {
      upgrade = request.headers.upgrade;
      response.end('plain');
    };
    const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABk' };
    expect(await visit(host, '/', headers)).toMatchObject({ status: 200, body: 'plain' });
    expect(upgrade).toBeUndefined();
  });

  test('breaks off when its app does', async () => {
    respond = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setImmediate(() => response.destroy());
    };
    await expect(visit(host)).rejects.toThrow();
  });

  test('of which the app is down says so', async () => {
    const down = await published('down', 1);
    const answer = await visit(down, '/', { accept: 'text/html' });
    expect(answer).toMatchObject({ status: 502, body: expect.stringContaining('does not answer') });
    const socket = rawClient(service.port, [
      'GET / HTTP/1.1',
      `Host: ${down}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
    ]);
    expect(await socket.end()).toMatch(/^HTTP\/1.1 502 /);
  });
});

describe('a preview that is not published', () => {
  test('says that it starts, and tries again by itself', async () => {
    const { metadata } = await service.environment('early');
    const host = `${previewHostLabel('early', metadata.uid ?? '')}.${PREVIEW_DOMAIN}`;
    const answer = await visit(host, '/', { accept: 'text/html' });
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '3' } });
    expect(answer.body).toContain('is starting');
  });

  test('T28: says why it failed, in text that is only text', async () => {
    const { metadata } = await service.environment('broken');
    const host = `${previewHostLabel('broken', metadata.uid ?? '')}.${PREVIEW_DOMAIN}`;
    const [ready] = statusWith(['Ready']).conditions;
    const message = 'container `<script>alert(1)</script>` exits with 1';
    if (!ready) throw new Error('no condition');
    const failed = { ...ready, status: 'False' as const, reason: 'ContainerExits', message };
    await become('broken', { phase: 'Failed', steps: [], conditions: [failed] });
    const answer = await visit(host, '/', { accept: 'text/html' });
    expect(answer).toMatchObject({ status: 503, headers: { 'content-type': 'text/html; charset=utf-8' } });
    expect(answer.body).toContain('&lt;script&gt;');
    expect(answer.body).not.toContain('<script>');
    expect(answer.headers['retry-after']).toBeUndefined();
  });
});

describe('an address without a preview', () => {
  test.each([
    `shop.${PREVIEW_DOMAIN}`,
    `shop-abcdefghij.${PREVIEW_DOMAIN}`,
    PREVIEW_DOMAIN,
    `a.b.${PREVIEW_DOMAIN}`,
    `__proto__.${PREVIEW_DOMAIN}`,
  ])('%s is answered like any other', async (host) => {
    const answer = await visit(host, '/v1/environments');
    expect(answer.status).toBe(404);
    expect(answer.body).toBe((await visit(`nothing.${PREVIEW_DOMAIN}`)).body);
  });

  test('never reaches the API', async () => {
    const answer = await visit(`nothing.${PREVIEW_DOMAIN}`, '/healthz');
    expect(answer.status).toBe(404);
  });
});

test('F9: a request under way is finished when the service ends, and a WebSocket does not hold it up for ever', async () => {
  await using ending = await startService();
  const { metadata } = await ending.environment('last');
  const hostLabel = previewHostLabel('last', metadata.uid ?? '');
  const host = `${hostLabel}.${PREVIEW_DOMAIN}`;
  const endpoints = [{ name: '', url: '', hostLabel, clusterIp: '127.0.0.1', port: appPort }];
  ending.host.change<Environment>(ENVIRONMENTS, `${NAMESPACE}/last`, (environment) => {
    environment.status = statusWith(['Published'], { endpoints });
  });
  await eventually(async () => (ending.store.get('last')?.status?.endpoints ? true : undefined), {
    what: 'the preview is known',
    timeoutMs: 5_000,
    intervalMs: 5,
  });
  const socket = rawClient(ending.port, [
    'GET / HTTP/1.1',
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
  ]);
  await socket.until('seen');
  const gate = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  respond = async (_request, response) => {
    arrived.resolve();
    await gate.promise;
    response.end('finished');
  };
  const slow = ending.call('/', { headers: { host } });
  await arrived.promise;
  const stopped = ending.stop({ drainMs: 500 });
  gate.resolve();
  expect(await slow).toMatchObject({ status: 200, body: 'finished' });
  await stopped;
  await text(socket.socket);
});
