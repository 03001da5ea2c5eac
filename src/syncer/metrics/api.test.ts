import { describe, expect, it } from 'vitest';
import { createMemoryApiServer } from '../../../test/support/memory-api-server.ts';
import { translationContext } from '../../../test/support/translation-context.ts';
import { KubeError } from '../../kube/errors.ts';
import { createStore } from '../../kube/store.ts';
import { InvalidInputError, NotFoundError, UnavailableError } from '../../lib/errors.ts';
import { ANNOTATION_NAME, ANNOTATION_NAMESPACE, ANNOTATION_UID } from '../names.ts';
import type { Node, Pod } from '../objects.ts';
import { quantityOf } from '../quantity.ts';
import { matchesSelector } from '../selectors.ts';
import { answer, METRICS_PATH, parseQuery } from './api.ts';
import { parseLabelSelector } from './label-selector.ts';
import { createUsageReader, type PodUsage } from './usage.ts';

const { signal } = new AbortController();

describe('quantities', () => {
  it.each([
    ['250m', 0.25],
    ['12345678n', 0.012345678],
    ['3u', 0.000003],
    ['2', 2],
    ['64Mi', 67_108_864],
    ['1.5Ki', 1536],
    ['1e3', 1000],
    ['5G', 5e9],
    ['many', 0],
    [undefined, 0],
  ])('%s is %d', (text, number) => expect(quantityOf(text)).toBeCloseTo(number, 12));
});

describe('label selectors of a query', () => {
  it.each<[string, boolean]>([
    ['', true],
    ['app=web', true],
    ['app==web,tier!=db', true],
    ['app in (api, web),tier in (db)', false],
    ['app notin (api)', true],
    ['app,!old', true],
    ['!app', false],
  ])('%s', (text, expected) =>
    expect(matchesSelector(parseLabelSelector(text), { app: 'web', tier: 'front' })).toBe(expected),
  );

  it.each(['app in web', '=web', 'a,,b'])('%s is none', (text) =>
    expect(() => parseLabelSelector(text)).toThrow(InvalidInputError),
  );
});

describe('the usage of this cluster’s pods', () => {
  const virtual = createStore<Pod>();
  virtual.replace([
    {
      metadata: { namespace: 'shop', name: 'web', uid: 'inside' },
      spec: { containers: [{ name: 'app' }] },
    },
  ]);
  const copy = (name: string, uid: string): Pod => ({
    metadata: {
      namespace: 'host-ns',
      name,
      annotations: { [ANNOTATION_NAME]: 'web', [ANNOTATION_NAMESPACE]: 'shop', [ANNOTATION_UID]: uid },
    },
  });
  const hosts = createStore<Pod>();
  hosts.replace([copy('web-shop-vc', 'inside'), copy('web-shop-vc-before', 'another')]);
  const type = { group: 'metrics.k8s.io', version: 'v1beta1', plural: 'pods', kind: 'x', namespaced: true };
  const reader = () => {
    const server = createMemoryApiServer();
    for (const name of ['web-shop-vc', 'web-shop-vc-before', 'of-a-neighbour']) {
      const labels = { 'mayfly.dev/cluster': name === 'of-a-neighbour' ? 'other' : 'vc' };
      const containers = ['app', 'injected'].map((container) => ({
        name: container,
        usage: { cpu: '1m', memory: '1Mi' },
      }));
      const sample = { timestamp: '2026-01-01T00:00:00Z', window: '15s', containers };
      server.put(type, { metadata: { namespace: 'host-ns', name, labels }, ...sample });
    }
    const stores = { virtual: { pods: virtual }, host: { pods: hosts } };
    return { server, usage: createUsageReader({ host: server.client, facts: translationContext(), stores }) };
  };

  it('is that of their host copies, without containers that are not inside', async () => {
    const used = await reader().usage.read(signal);
    expect(used.map(({ pod, containers }) => [pod.metadata.uid, containers.map(({ name }) => name)])).toEqual(
      [['inside', ['app']]],
    );
  });

  it('is not available where the host has no metrics or does not show them', async () => {
    const { server, usage } = reader();
    expect(await usage.isAvailable(signal)).toBe(true);
    for (const [status, reason] of [
      [404, 'NotFound'],
      [403, 'Forbidden'],
    ] as const) {
      server.intercept = () => {
        throw new KubeError({ status, reason, message: 'no' });
      };
      await expect(usage.read(signal)).rejects.toThrow(UnavailableError);
      expect(await usage.isAvailable(signal)).toBe(false);
    }
  });
});

describe('the metrics API', () => {
  const usageOf = (namespace: string, name: string, nodeName: string): PodUsage => ({
    pod: {
      metadata: { namespace, name, uid: name, labels: { app: name } },
      spec: { nodeName, containers: [{ name: 'app' }] },
    },
    timestamp: '2026-01-01T00:00:00Z',
    window: '15s',
    containers: [{ name: 'app', usage: { cpu: '100m', memory: '1Mi' } }],
  });
  const usage = [usageOf('a', 'one', 'n1'), usageOf('a', 'two', 'n1'), usageOf('b', 'three', 'n2')];
  const nodes: Node[] = ['n1', 'n2', 'idle'].map((name) => ({ metadata: { name } }));
  const ask = (path: string) => answer(parseQuery(`${METRICS_PATH}${path}`), usage, nodes);
  const namesAt = (path: string) =>
    (ask(path) as { items: { metadata: { name: string } }[] }).items.map(({ metadata }) => metadata.name);

  it.each<[string, string[]]>([
    ['/pods', ['one', 'two', 'three']],
    ['/namespaces/a/pods?timeout=30s', ['one', 'two']],
    ['/pods?labelSelector=app%3Dthree', ['three']],
    ['/namespaces/a/pods?fieldSelector=metadata.name%3Dtwo', ['two']],
    ['/nodes', ['n1', 'n2']],
  ])('lists %s', (path, names) => expect(namesAt(path)).toEqual(names));

  it('gives one pod, and a node with what its pods use together', () => {
    expect(ask('/namespaces/a/pods/one')).toMatchObject({
      kind: 'PodMetrics',
      apiVersion: 'metrics.k8s.io/v1beta1',
      metadata: { namespace: 'a', name: 'one' },
      containers: [{ name: 'app', usage: { cpu: '100m', memory: '1Mi' } }],
    });
    expect(ask('/nodes/n1')).toMatchObject({
      kind: 'NodeMetrics',
      usage: { cpu: '200000000n', memory: '2048Ki' },
    });
  });

  it('says what it serves', () => {
    expect(ask('')).toMatchObject({ kind: 'APIResourceList', groupVersion: 'metrics.k8s.io/v1beta1' });
  });

  it.each([
    '/namespaces/a/pods/other',
    '/nodes/idle',
    '/pods/one',
    '/namespaces/a/nodes',
    '/pods?watch=true',
    '/secrets',
  ])('has no %s', (path) => expect(() => ask(path)).toThrow(NotFoundError));

  it('refuses a selector by fields that metrics do not have', () => {
    expect(() => ask('/pods?fieldSelector=spec.nodeName%3Dn1')).toThrow(InvalidInputError);
  });
});
