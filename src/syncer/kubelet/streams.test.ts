import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import {
  ask,
  hostApi,
  kubelet,
  neverAsked,
  noHost,
  SPDY,
  send,
  upgrade,
} from '../../../test/support/kubelet.ts';

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
    const host = await hostApi(neverAsked);
    const { head } = await upgrade(kubelet(host.url), path, fields);
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it('is needed for exec', async () => {
    const server = kubelet((await noHost()).url);
    expect(await ask(server, '/exec/shop/web/app', { method: 'POST' })).toMatchObject({ status: 400 });
  });

  it('is refused, as followed logs are, when as many are open as may be, in words that say what to do (T15)', async () => {
    const host = await hostApi((_, response) => void response.write('first\n'), echo([]));
    const server = kubelet(host.url, 2);
    const exec = await upgrade(server, '/exec/shop/web/app?output=1', SPDY);
    const logs = await send(server, '/containerLogs/shop/web/app?follow=true');
    expect(await ask(server, '/containerLogs/shop/web/app?follow=true')).toMatchObject({ status: 429 });
    const { head, rest, socket } = await upgrade(server, '/portForward/shop/web', SPDY);
    expect(head).toMatch(/^HTTP\/1.1 429 /);
    expect(JSON.parse(rest.toString() + (await text(socket)))).toMatchObject({
      code: 429,
      reason: 'TooManyRequests',
      message:
        'this virtual cluster has 2 logs, exec, attach and port-forward streams open, as many as it may; ' +
        'end some of them and try again',
    });
    expect(await ask(server, '/healthz')).toMatchObject({ status: 200 });
    exec.socket.destroy();
    await expect.poll(() => server.streams).toBe(1);
    expect((await upgrade(server, '/exec/shop/web/app?output=1', SPDY)).head).toMatch(/^HTTP\/1.1 101 /);
    logs.destroy();
  });
});
