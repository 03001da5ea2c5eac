// The syncer's engine between two API servers in memory, for unit tests.
import { pino } from 'pino';
import { vi } from 'vitest';
import { CONFIG_MAPS, EVENTS, NAMESPACES, NODES, PODS, SECRETS } from '../../src/kube/resource.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createEngine, type Engine, type EngineOptions } from '../../src/syncer/engine/engine.ts';
import { KINDS, UPWARD_KINDS } from '../../src/syncer/kinds/registry.ts';
import { hostName } from '../../src/syncer/names.ts';
import type { ConfigMap, Event, Pod, Secret } from '../../src/syncer/objects.ts';
import { createMemoryApiServer, type MemoryApiServer } from './memory-api-server.ts';
import { translationContext } from './translation-context.ts';

export interface SyncerHarness {
  virtual: MemoryApiServer;
  host: MemoryApiServer;
  engine: Engine;
  /** Events inside about objects of this name. */
  eventsOn(name: string): Event[];
  /** Resolves when no request was made for a while: everything that was to be done is done. */
  quiet(): Promise<void>;
  stop(): Promise<void>;
}

const HOST_NAMESPACE = 'host-ns';

export interface HarnessOptions extends Omit<Partial<EngineOptions>, 'virtual' | 'host'> {
  virtual?: MemoryApiServer;
  host?: MemoryApiServer;
}

export async function startSyncer(options: HarnessOptions = {}): Promise<SyncerHarness> {
  const { virtual = createMemoryApiServer(), host = createMemoryApiServer(), ...rest } = options;
  if (!virtual.get(NAMESPACES, 'kube-system')) {
    virtual.put(NAMESPACES, { metadata: { name: 'kube-system', uid: 'store-1' } });
    virtual.put(NAMESPACES, { metadata: { name: 'default' } });
  }
  const engine = createEngine({
    kinds: KINDS,
    upwardKinds: UPWARD_KINDS,
    host: host.client,
    virtual: virtual.client,
    facts: translationContext(),
    hostApiAddresses: ['10.96.0.1'],
    readsHostWide: true,
    logger: pino({ level: 'silent' }),
    clock: systemClock,
    ...rest,
  });
  const stop = new AbortController();
  const running = engine.run(stop.signal);
  await engine.synced(stop.signal);
  const asked = () => virtual.requests.length + host.requests.length;
  return {
    virtual,
    host,
    engine,
    eventsOn: (name) =>
      virtual.list<Event>(EVENTS).filter(({ involvedObject }) => involvedObject.name === name),
    async quiet() {
      let last = -1;
      await vi.waitFor(
        () => {
          const now = asked();
          const unchanged = now === last;
          last = now;
          if (!unchanged) throw new Error('requests are still made');
        },
        { timeout: 5_000, interval: 40 },
      );
    },
    async stop() {
      stop.abort();
      await running;
    },
  };
}

/** The host key (`namespace/name`) of a virtual object's copy. */
export function hostKey(plural: string, key: string): string {
  const [namespace = '', name = ''] = key.split('/');
  return `${HOST_NAMESPACE}/${hostName('vc', plural, { namespace, name })}`;
}

export function podOnHost(host: MemoryApiServer, key: string): Pod | undefined {
  return host.get<Pod>(PODS, hostKey('pods', key));
}

export function configMapOnHost(host: MemoryApiServer, key: string): ConfigMap | undefined {
  return host.get<ConfigMap>(CONFIG_MAPS, hostKey('configmaps', key));
}

export function secretOnHost(host: MemoryApiServer, key: string): Secret | undefined {
  return host.get<Secret>(SECRETS, hostKey('secrets', key));
}

/** A pod as the virtual API server admits it, without token volumes. */
export function podNamed(key: string, spec: Partial<Pod['spec']> = {}): Pod {
  const [namespace = '', name = ''] = key.split('/');
  return {
    metadata: { namespace, name, labels: { app: name } },
    spec: { containers: [{ name: 'app', image: 'example/app:1' }], ...spec } as Pod['spec'],
    status: { phase: 'Pending', qosClass: 'BestEffort' },
  };
}

/** What the host's scheduler does. */
export function place(host: MemoryApiServer, key: string, node = 'node-1'): void {
  if (!host.get(NODES, node)) {
    host.put(NODES, {
      metadata: { name: node, labels: { 'kubernetes.io/hostname': node, secret: 'label' } },
      spec: {},
      status: {
        addresses: [{ type: 'InternalIP', address: '192.0.2.1' }],
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    } as never);
  }
  host.change<Pod>(PODS, hostKey('pods', key), (pod) => {
    if (pod.spec) pod.spec.nodeName = node;
    pod.status = { ...pod.status, phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'True' }] };
  });
}

/** What the host's kubelet does. */
export function start(host: MemoryApiServer, key: string, podIp = '10.244.0.7'): void {
  host.change<Pod>(PODS, hostKey('pods', key), (pod) => {
    pod.status = {
      ...pod.status,
      phase: 'Running',
      startTime: '2026-01-01T00:00:00Z',
      hostIP: '192.0.2.1',
      hostIPs: [{ ip: '192.0.2.1' }],
      podIP: podIp,
      podIPs: [{ ip: podIp }],
      conditions: [
        { type: 'PodScheduled', status: 'True' },
        { type: 'Ready', status: 'True' },
      ],
    };
  });
}
