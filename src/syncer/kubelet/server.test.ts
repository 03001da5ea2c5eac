import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import {
  ask,
  certificates,
  dial,
  hostApi,
  kubelet,
  NODE,
  neverAsked,
  noHost,
  OTHER_NODE,
  SPDY,
  send,
  upgrade,
} from '../../../test/support/kubelet.ts';
import type { ReadStore } from '../../kube/store.ts';
import { UnavailableError } from '../../lib/errors.ts';
import type { PodUsage } from '../metrics/usage.ts';
import type { Pod } from '../objects.ts';

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

describe('usage', () => {
  const usageOf = (pods: ReadStore<Pod>): PodUsage[] =>
    ['shop/web', 'shop/pending'].flatMap((key) => {
      const pod = pods.get(key);
      const containers = [{ name: 'app', usage: { cpu: '250m', memory: '64Mi' } }];
      return pod ? [{ pod, timestamp: '2026-01-01T00:00:10Z', window: '15s', containers }] : [];
    });

  it('is told of the pods that run on the node', async () => {
    const server = kubelet((await noHost()).url, undefined, usageOf);
    const told = {
      cpu: { time: '2026-01-01T00:00:10Z', usageNanoCores: 250_000_000 },
      memory: { time: '2026-01-01T00:00:10Z', workingSetBytes: 67_108_864 },
    };
    const { body } = await ask(server, '/stats/summary');
    expect(JSON.parse(body)).toEqual({
      node: { nodeName: 'n1', ...told },
      pods: [
        {
          podRef: { name: 'web', namespace: 'shop', uid: 'uid-web' },
          containers: [{ name: 'app', ...told }],
          ...told,
        },
      ],
    });
    const { body: text } = await ask(server, '/metrics/resource');
    expect(text.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
      'container_memory_working_set_bytes{container="app",namespace="shop",pod="web"} 67108864 1767225610000',
      'pod_memory_working_set_bytes{namespace="shop",pod="web"} 67108864 1767225610000',
      'resource_scrape_error 0',
      '',
    ]);
  });

  it('that the host does not tell is not available, and not nothing', async () => {
    const server = kubelet((await noHost()).url, undefined, () => {
      throw new UnavailableError({ code: 'NoHostMetrics', message: 'the host has no metrics' });
    });
    expect(await ask(server, '/stats/summary')).toEqual({ status: 503, body: 'the host has no metrics' });
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
    const host = await hostApi(neverAsked);
    expect(await ask(kubelet(host.url), path, { nodeAddress })).toMatchObject({ status: 404 });
  });

  it('of another uid than the one meant is not found', async () => {
    const host = await hostApi(neverAsked);
    const { head } = await upgrade(kubelet(host.url), '/exec/shop/web/uid-other/app?output=1', SPDY);
    expect(head).toMatch(/^HTTP\/1.1 404 /);
  });
});
