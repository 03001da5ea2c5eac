import { describe, expect, it } from 'vitest';
import { deepFreeze, fullPod } from '../../../test/support/pod-samples.ts';
import {
  fullDisruptionBudget,
  fullHttpRoute,
  fullIngress,
  fullNetworkPolicy,
} from '../../../test/support/policy-samples.ts';
import { translationContext } from '../../../test/support/translation-context.ts';
import type { KubeObject } from '../../kube/resource.ts';
import { sameOnWire } from '../equality.ts';
import { onHost } from '../kind.ts';
import { hostName, kindId } from '../names.ts';
import type {
  ConfigMap,
  EndpointSlice,
  PersistentVolumeClaim,
  Secret,
  Service,
  VolumeSnapshot,
} from '../objects.ts';
import { createStorePair } from '../stores.ts';
import { customKinds } from './custom-resources/kinds.ts';
import { type AnyKind, KINDS as REGISTERED } from './registry.ts';

const KINDS = [
  ...REGISTERED,
  ...customKinds([
    {
      group: 'example.com',
      version: 'v1',
      plural: 'backups',
      kind: 'Backup',
      direction: 'toHost',
      statusBack: true,
      references: [{ path: 'spec.stores[*].secretName', kind: 'Secret' }],
      selectors: ['spec.selector'],
    },
  ]),
];

const metadata = (name: string) => ({
  namespace: 'default',
  name,
  uid: `uid-of-${name}`,
  resourceVersion: '3',
  labels: { app: name },
  annotations: { 'example.com/a': 'b' },
  ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'x', uid: 'y' }],
  finalizers: ['example.com/x'],
  managedFields: [{}],
});
const byHand: Service = {
  metadata: metadata('by-hand'),
  spec: { clusterIP: '10.96.3.3', ports: [{ port: 80 }] },
};
const configMap: ConfigMap = {
  metadata: metadata('settings'),
  data: { a: '1' },
  binaryData: { b: 'Yg==' },
  immutable: true,
};
const secret: Secret = { metadata: metadata('password'), type: 'Opaque', data: { a: 'YQ==' } };
const service: Service = {
  metadata: metadata('web'),
  spec: {
    type: 'LoadBalancer',
    clusterIP: '10.96.4.4',
    clusterIPs: ['10.96.4.4'],
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
    selector: { app: 'web' },
    ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080, nodePort: 31_000 }],
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
    externalTrafficPolicy: 'Cluster',
    internalTrafficPolicy: 'Cluster',
    externalIPs: ['192.0.2.9'],
    loadBalancerIP: '192.0.2.8',
  },
  status: { loadBalancer: {} },
};
const slice: EndpointSlice = {
  metadata: { ...metadata('by-hand-x'), labels: { 'kubernetes.io/service-name': 'by-hand' } },
  addressType: 'IPv4',
  endpoints: [
    { addresses: ['203.0.113.9'], conditions: { ready: true }, nodeName: 'n', targetRef: { kind: 'Pod' } },
  ],
  ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
};

const claim: PersistentVolumeClaim = {
  metadata: metadata('data'),
  spec: {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '1Gi' } },
    storageClassName: 'fast',
    volumeMode: 'Filesystem',
    dataSource: { kind: 'PersistentVolumeClaim', name: 'other' },
    dataSourceRef: { kind: 'PersistentVolumeClaim', name: 'other' },
    volumeAttributesClassName: 'gold',
  },
  status: { phase: 'Pending' },
};
const snapshot: VolumeSnapshot = {
  metadata: metadata('before'),
  spec: { source: { persistentVolumeClaimName: 'data' }, volumeSnapshotClassName: 'fast' },
};

/** One of each kind; a new kind adds its own. */
const SAMPLES: Record<string, KubeObject> = {
  configmaps: configMap,
  secrets: secret,
  services: service,
  'endpointslices.discovery.k8s.io': slice,
  persistentvolumeclaims: claim,
  'volumesnapshots.snapshot.storage.k8s.io': snapshot,
  pods: fullPod(),
  'networkpolicies.networking.k8s.io': fullNetworkPolicy(metadata('only-front')),
  'ingresses.networking.k8s.io': fullIngress(metadata('shop')),
  'httproutes.gateway.networking.k8s.io': fullHttpRoute(metadata('shop')),
  serviceaccounts: { metadata: metadata('builder') },
  'poddisruptionbudgets.policy': fullDisruptionBudget(metadata('web')),
  'backups.example.com': {
    metadata: metadata('nightly'),
    spec: { stores: [{ secretName: 'password' }], selector: { matchLabels: { app: 'web' } } },
    status: { observedGeneration: 1 },
  } as KubeObject,
};
const context = translationContext({ services: [service, byHand] }, { profile: 'none' });

function sampleOf(kind: AnyKind): KubeObject {
  const sample = SAMPLES[kindId(kind.type)];
  if (!sample) throw new Error(`contract.test.ts needs a sample of ${kindId(kind.type)}`);
  return deepFreeze(structuredClone(sample));
}

function copyOf(kind: AnyKind, virtual: KubeObject): KubeObject {
  const body = kind.toHost(virtual, context);
  if (!body) throw new Error(`the sample of ${kindId(kind.type)} has no copy on the host`);
  return onHost(kind.type, body, virtual, context);
}

describe.each(KINDS.map((kind) => [kindId(kind.type), kind] as const))('the kind %s', (_, kind) => {
  it('leaves its input as it is and gives the same output again', () => {
    const virtual = sampleOf(kind);
    const host = deepFreeze(copyOf(kind, virtual));
    expect(copyOf(kind, virtual)).toEqual(host);
    kind.merge(host, host);
    kind.toVirtual?.(host, virtual, context);
    kind.toHostStatus?.(host, virtual);
    kind.references?.(virtual);
    kind.step?.(virtual, host);
    kind.notices?.(virtual, context);
    kind.findReserved?.(virtual, createStorePair(kind).host);
  });

  it('marks the copy as belonging to its original, its cluster and its store', () => {
    const { metadata: mark } = copyOf(kind, sampleOf(kind));
    const virtual = sampleOf(kind).metadata;
    expect(mark).toMatchObject({
      name: hostName('vc', kind.type.plural, { namespace: 'default', name: virtual.name ?? '' }),
      namespace: 'host-ns',
      labels: { 'mayfly.dev/cluster': 'vc', 'mayfly.dev/virtual-namespace': 'default' },
      annotations: { 'mayfly.dev/virtual-uid': virtual.uid, 'mayfly.dev/store-uid': 'store-1' },
      ownerReferences: [{ name: 'vc-anchor' }],
    });
  });

  it('carries no owner, finalizer, version or foreign annotation over (T5, T6)', () => {
    const { metadata: mark } = copyOf(kind, sampleOf(kind));
    expect(Object.keys(mark).sort()).toEqual([
      'annotations',
      'labels',
      'name',
      'namespace',
      'ownerReferences',
    ]);
    expect(
      Object.keys(mark.annotations ?? {}).filter((key) => !/^([a-z]\.)?mayfly\.dev\//.test(key)),
    ).toEqual([]);
  });

  it('asks for no write once the copy is there', () => {
    const desired = copyOf(kind, sampleOf(kind));
    const stored: KubeObject = {
      ...desired,
      metadata: {
        ...desired.metadata,
        uid: 'host-uid',
        resourceVersion: '9',
        annotations: { ...desired.metadata.annotations, 'host.example.com/x': 'y' },
        labels: { ...desired.metadata.labels, 'host.example.com/x': 'y' },
      },
    };
    expect(sameOnWire(kind.merge(stored, desired), stored)).toBe(true);
    const once = kind.toVirtual?.(stored, sampleOf(kind), context);
    if (once) expect(sameOnWire(kind.toVirtual?.(stored, once, context), once)).toBe(true);
    const status = kind.toHostStatus?.(stored, sampleOf(kind));
    if (status) expect(sameOnWire(kind.toHostStatus?.(status, sampleOf(kind)), status)).toBe(true);
  });

  it('gives names that are valid and apart, over 100,000 keys', () => {
    const names = new Set<string>();
    for (let index = 0; index < 100_000; index++) {
      const name = hostName('vc', kind.type.plural, {
        namespace: `team-${index % 89}`,
        name: `a-${index}.b`,
      });
      if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) expect.fail(`${name} is no DNS label`);
      names.add(name);
    }
    expect(names.size).toBe(100_000);
    const pair = [
      { namespace: 'c', name: 'a-x-b' },
      { namespace: 'b-x-c', name: 'a' },
    ].map((key) => hostName('vc', kind.type.plural, key));
    expect(new Set(pair).size).toBe(2);
  });
});

describe('what flows and what does not', () => {
  const kindOf = (id: string) => KINDS.find(({ type }) => kindId(type) === id) as AnyKind;

  it('drops what a Service may not have on the host, and says so (T14)', () => {
    const kind = kindOf('services');
    const { spec } = copyOf(kind, service) as Service;
    for (const field of ['externalIPs', 'loadBalancerIP', 'externalName'])
      expect(spec).not.toHaveProperty(field);
    expect(kind.notices?.(service, context).map(({ message }) => message.split(':')[0])).toEqual([
      'spec.externalIPs',
      'spec.loadBalancerIP',
    ]);
  });

  it('keeps the port on nodes that the host gave a Service, and asks for that of the Service where it gave none', () => {
    const kind = kindOf('services');
    const desired = copyOf(kind, service) as Service;
    const portAfter = (nodePort?: number) => {
      const ports = [{ port: 80, nodePort }];
      const host: Service = { metadata: {}, spec: { type: 'NodePort', ports } };
      return (kind.merge(host, desired) as Service).spec?.ports?.[0]?.nodePort;
    };
    expect(portAfter(31_001)).toBe(31_001);
    expect(portAfter()).toBe(31_000);
  });

  it('leaves a host Service as it is while an update that it was changed for is on its way', () => {
    const kind = kindOf('services');
    const at = (resourceVersion: string) => ({
      ...service,
      metadata: { ...service.metadata, resourceVersion },
    });
    const host = { metadata: { annotations: { 'mayfly.dev/ahead-of': '7' } } };
    expect(kind.step?.(at('6'), host)).toEqual({ do: 'wait' });
    expect(kind.step?.(at('7'), host)).toEqual({ do: 'wait' });
    expect(kind.step?.(at('8'), host)).toBeUndefined();
    expect(kind.step?.(at('7'), { metadata: {} })).toBeUndefined();
  });

  it('leaves a Service to the proxy that the host has given it to', () => {
    const kind = kindOf('services');
    const label = 'service.kubernetes.io/service-proxy-name';
    const labelled = (value: string | undefined) =>
      ({ ...service, metadata: { ...service.metadata, labels: value ? { [label]: value } : {} } }) as Service;
    const labelAfter = (onHost: string | undefined, inside: string | undefined) => {
      const desired = copyOf(kind, labelled(inside)) as Service;
      return kind.merge(labelled(onHost), desired).metadata.labels?.[label];
    };
    expect(labelAfter('of-the-host', undefined)).toBe('of-the-host');
    expect(labelAfter('of-the-host', 'wanted')).toBe('of-the-host');
    expect(labelAfter(undefined, 'wanted')).toBe('none');
    expect(labelAfter('none', undefined)).toBeUndefined();
  });

  it('drops with the external IPs of a Service what is said of traffic to them', () => {
    const kind = kindOf('services');
    const policyOf = (type: string) =>
      (copyOf(kind, { ...service, spec: { ...service.spec, type } } as Service) as Service).spec
        ?.externalTrafficPolicy;
    expect(policyOf('ClusterIP')).toBeUndefined();
    expect(policyOf('LoadBalancer')).toBe('Cluster');
  });

  it('takes node ports and the addresses of a load balancer from the host', () => {
    const kind = kindOf('services');
    const host: Service = {
      ...(copyOf(kind, service) as Service),
      spec: { ports: [{ port: 80, protocol: 'TCP', nodePort: 32_222 }] },
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.77' }] } },
    };
    expect(kind.toVirtual?.(host, service, context)).toMatchObject({
      spec: { ports: [{ nodePort: 32_222, targetPort: 8080 }] },
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.77' }] } },
    });
  });

  it('keeps an ExternalName and slices of Services with a selector inside', () => {
    const external: Service = {
      metadata: metadata('out'),
      spec: { type: 'ExternalName', externalName: 'metadata.internal' },
    };
    expect(kindOf('services').toHost(external, context)).toBeUndefined();
    const ofWeb = {
      ...slice,
      metadata: { ...slice.metadata, labels: { 'kubernetes.io/service-name': 'web' } },
    };
    expect(kindOf('endpointslices.discovery.k8s.io').toHost(ofWeb, context)).toBeUndefined();
  });

  it.each([
    '127.0.0.1',
    '169.254.169.254',
    '0.0.0.0',
    '::1',
    'fe80::1',
    '::ffff:169.254.169.254',
    '224.0.0.1',
    'not-an-address',
    '172.30.0.11',
  ])('refuses hand-made endpoints at %s (T14)', (address) => {
    const strict = translationContext({ services: [byHand], hostAddresses: ['172.30.0.11'] });
    const bad = { ...slice, endpoints: [{ addresses: [address] }] };
    expect(() => kindOf('endpointslices.discovery.k8s.io').toHost(bad, strict)).toThrow(
      'endpoints[0].addresses',
    );
  });

  it('gives the host no Secret type that its controllers would fill', () => {
    const token: Secret = { ...secret, type: 'kubernetes.io/service-account-token' };
    expect(kindOf('secrets').toHost(token, context)).toMatchObject({ type: 'Opaque' });
  });
});
