import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KubeObject, PODS, SERVICE_ACCOUNTS } from '../../../src/kube/resource.ts';
import { openUpgrade } from '../../../src/kube/upgrade.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';

interface Pod extends KubeObject {
  spec: object;
  status?: { phase?: string };
}

describe('an upgraded stream to a real API server', () => {
  let test: TestNamespace;
  const call = () => ({ signal: AbortSignal.timeout(60_000) });

  beforeAll(async () => {
    test = await createTestNamespace('kube-upgrade');
    const { client, namespace } = test;
    // The service account admission wants it, and the controller that makes it may be a moment behind.
    const named = (name: string) => ({ namespace, name });
    const waiting = { timeoutMs: 60_000, intervalMs: 100 };
    await eventually(() => client.get(SERVICE_ACCOUNTS, named('default'), call()), {
      what: 'the namespace has its default service account',
      ...waiting,
    });
    const container = {
      name: 'shell',
      image: 'docker.io/library/busybox:latest',
      imagePullPolicy: 'IfNotPresent',
    };
    const spec = {
      terminationGracePeriodSeconds: 0,
      containers: [{ ...container, command: ['sleep', '600'] }],
    };
    await client.create<Pod>(PODS, { metadata: named('target'), spec }, call());
    const running = async () => {
      const { status } = await client.get<Pod>(PODS, named('target'), call());
      return status?.phase === 'Running' || undefined;
    };
    await eventually(running, { what: 'the pod runs', ...waiting });
  });
  afterAll(() => test.remove());

  const exec = (pod: string, headers: Record<string, string>) =>
    openUpgrade(test.connection, {
      method: 'GET',
      path: `/api/v1/namespaces/${test.namespace}/pods/${pod}/exec?stdout=true&command=echo&command=from-the-pod`,
      headers,
      signal: AbortSignal.timeout(30_000),
      timeoutMs: 15_000,
    });
  const webSocket = () => ({
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Protocol': 'v5.channel.k8s.io',
  });

  it('carries the output of a program in a pod', async () => {
    const result = await exec('target', webSocket());
    if (result.kind !== 'upgraded') throw new Error(`status ${result.response.statusCode}`);
    expect(result.headers['sec-websocket-protocol']).toBe('v5.channel.k8s.io');
    let output = result.head.toString('latin1');
    for await (const chunk of result.socket) {
      output += chunk.toString('latin1');
      if (output.includes('Success')) break;
    }
    expect(output).toContain('from-the-pod');
  });

  it('hands on the refusal for a pod that does not exist', async () => {
    const result = await exec('missing', webSocket());
    if (result.kind !== 'response') throw new Error('upgraded');
    expect(result.response.statusCode).toBe(404);
    result.response.destroy();
  });
});
