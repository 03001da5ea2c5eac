// Ingresses and the classes of the host, between two real API servers; the test plays the host's controller.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  INGRESS_CLASSES,
  INGRESSES,
  type KubeObject,
  PODS,
  PRIORITY_CLASSES,
  type ResourceType,
  RUNTIME_CLASSES,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from '../../../src/kube/resource.ts';
import type {
  Ingress,
  IngressClass,
  IngressSpec,
  Pod,
  PriorityClass,
  RuntimeClass,
  Secret,
  Service,
  ServiceAccount,
} from '../../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import {
  call,
  type SyncedCluster,
  sleeper,
  startSyncedCluster,
  within,
} from '../../support/synced-cluster.ts';

/** Of the host's cluster-scoped objects, which other tests may make too. */
const RUN = randomBytes(3).toString('hex');
const PUBLIC = `public-${RUN}`;
const RUNTIME = `runtime-${RUN}`;
const PRIORITY = `priority-${RUN}`;
const OTHER = `other-${RUN}`;
const CLASSES: [ResourceType, KubeObject][] = [
  [INGRESS_CLASSES, { metadata: { name: PUBLIC }, spec: { controller: 'example.com/test' } } as IngressClass],
  [RUNTIME_CLASSES, { metadata: { name: RUNTIME }, handler: 'runc' } as RuntimeClass],
  [PRIORITY_CLASSES, { metadata: { name: PRIORITY }, value: 77 } as PriorityClass],
  [PRIORITY_CLASSES, { metadata: { name: OTHER }, value: 78 } as PriorityClass],
];
const named = (name: string) => ({ namespace: 'default', name });

let administrator: ClusterAccess;
let cluster: SyncedCluster;
beforeAll(async () => {
  administrator = await clusterAccess();
  for (const [type, object] of CLASSES) await administrator.client.create(type, object, call());
  cluster = await startSyncedCluster('ingress', {
    'sync.ingresses.annotations': '{example.com/issuer}',
    'sync.ingresses.hosts': '{*.preview.example.com}',
    'sync.runtimeClasses': `{${RUNTIME}}`,
    'sync.priorityClasses': `{${PRIORITY}}`,
    'sync.serviceAccounts.enabled': 'true',
    'sync.serviceAccounts.annotations': '{example.com/role}',
  });
});
afterAll(async () => {
  await cluster?.remove();
  for (const [type, { metadata }] of CLASSES)
    await administrator.client.delete(type, { name: metadata.name ?? '' }, call());
  await administrator?.client.close();
});

const inside = () => cluster.inside.client;
const rules = (host: string): IngressSpec['rules'] => [
  {
    host,
    http: {
      paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }],
    },
  },
];
const applied = (name: string, spec: IngressSpec, annotations?: Record<string, string>) =>
  inside().create<Ingress>(INGRESSES, { metadata: { ...named(name), annotations }, spec }, call());
const shown = <T extends KubeObject>(type: ResourceType, name: string) =>
  eventually(() => cluster.find<T>(type, { name }), within(`${name} is shown inside`));

describe('an Ingress', () => {
  it('is served by the host with its Service and its certificate, and shows the address it got', async () => {
    await shown(INGRESS_CLASSES, PUBLIC);
    await inside().create<Service>(
      SERVICES,
      { metadata: named('web'), spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } },
      call(),
    );
    await inside().create<Secret>(
      SECRETS,
      {
        metadata: named('shop-tls'),
        type: 'kubernetes.io/tls',
        data: { 'tls.key': 'a2V5', 'tls.crt': 'Y2VydA==' },
      },
      call(),
    );
    expect(await cluster.copyOf(SECRETS, 'shop-tls')).toBeUndefined();
    const spec = {
      ingressClassName: PUBLIC,
      rules: rules('shop.preview.example.com'),
      tls: [{ hosts: ['shop.preview.example.com'], secretName: 'shop-tls' }],
    };
    await applied('shop', spec, {
      'example.com/issuer': 'public',
      'nginx.ingress.kubernetes.io/server-snippet': 'return 200;',
    });
    const service = await cluster.copied<Service>(SERVICES, 'web');
    const secret = await cluster.copied<Secret>(SECRETS, 'shop-tls');
    const isNamed = (ingress: Ingress) =>
      ingress.spec?.rules?.[0]?.http?.paths[0]?.backend.service?.name === service.metadata.name;
    const copy = await cluster.copied<Ingress>(INGRESSES, 'shop', isNamed);
    expect(copy.spec).toMatchObject({
      ingressClassName: PUBLIC,
      tls: [{ secretName: secret.metadata.name }],
    });
    expect(copy.metadata.annotations).toHaveProperty(['example.com/issuer'], 'public');
    expect(copy.metadata.annotations).not.toHaveProperty(['nginx.ingress.kubernetes.io/server-snippet']);
    expect((await cluster.warned('shop', 'AnnotationDropped')).message).toContain('server-snippet');
    const loadBalancer = { ingress: [{ ip: '192.0.2.7' }] };
    const withStatus = { ...copy, status: { loadBalancer } };
    await cluster.host.client.update<Ingress>(INGRESSES, withStatus, { subresource: 'status', ...call() });
    await eventually(
      async () =>
        (await cluster.find<Ingress>(INGRESSES, named('shop')))?.status?.loadBalancer?.ingress?.[0]?.ip,
      within('the address is shown inside'),
    );
  });

  it('follows its changes, and leaves neither itself nor its certificate behind', async () => {
    const body = { metadata: { annotations: { 'example.com/issuer': null } } };
    await inside().patch(INGRESSES, named('shop'), { type: 'merge', body }, call());
    await cluster.copied(INGRESSES, 'shop', ({ metadata }) => !metadata.annotations?.['example.com/issuer']);
    await inside().delete(INGRESSES, named('shop'), call());
    await cluster.goneOnHost(INGRESSES, 'shop');
    await cluster.goneOnHost(SECRETS, 'shop-tls');
  });

  it('is refused for a host that the operator did not list, and goes when it turns to one', async () => {
    await applied('bank', { ingressClassName: PUBLIC, rules: rules('bank.example.com') });
    const { message } = await cluster.warned('bank', 'SyncRefused');
    expect(message).toContain('spec.rules[0].host: bank.example.com is none of *.preview.example.com');
    expect(await cluster.copyOf(INGRESSES, 'bank')).toBeUndefined();
    const turn = (host: string) =>
      inside().patch(
        INGRESSES,
        named('bank'),
        { type: 'merge', body: { spec: { ingressClassName: PUBLIC, rules: rules(host) } } },
        call(),
      );
    await turn('bank.preview.example.com');
    await cluster.copied(INGRESSES, 'bank');
    await turn('bank.example.com');
    await cluster.goneOnHost(INGRESSES, 'bank');
  });

  it('stays inside where a class made there names a controller inside', async () => {
    const own: IngressClass = { metadata: { name: 'inner' }, spec: { controller: 'example.com/inner' } };
    await inside().create(INGRESS_CLASSES, own, call());
    await applied('inner', { ingressClassName: 'inner', rules: rules('a.preview.example.com') });
    await applied('outer', { ingressClassName: PUBLIC, rules: rules('b.preview.example.com') });
    await cluster.copied(INGRESSES, 'outer');
    expect(await cluster.copyOf(INGRESSES, 'inner')).toBeUndefined();
  });
});

describe('classes that the operator lists', () => {
  it('are shown inside, and no others', async () => {
    expect(await shown<RuntimeClass>(RUNTIME_CLASSES, RUNTIME)).toMatchObject({ handler: 'runc' });
    expect(await shown<PriorityClass>(PRIORITY_CLASSES, PRIORITY)).toMatchObject({ value: 77 });
    expect(await cluster.find(PRIORITY_CLASSES, { name: OTHER })).toBeUndefined();
  });

  it('are given to pods, which run under accounts of their own without a token of the host', async () => {
    const account = {
      metadata: { ...named('builder'), annotations: { 'example.com/role': 'reader', other: 'x' } },
    };
    await inside().create<ServiceAccount>(SERVICE_ACCOUNTS, account, call());
    const spec = { runtimeClassName: RUNTIME, priorityClassName: PRIORITY, serviceAccountName: 'builder' };
    await eventually(
      async () => inside().create<Pod>(PODS, sleeper(named('sandboxed'), spec), call()),
      within('the account may be used'),
    );
    const copy = await cluster.copied<Pod>(PODS, 'sandboxed');
    const hostAccount = await cluster.copied<ServiceAccount>(SERVICE_ACCOUNTS, 'builder');
    expect(copy.spec).toMatchObject({
      runtimeClassName: RUNTIME,
      priorityClassName: PRIORITY,
      priority: 77,
      serviceAccountName: hostAccount.metadata.name,
      automountServiceAccountToken: false,
    });
    expect(hostAccount.automountServiceAccountToken).toBe(false);
    expect(hostAccount.metadata.annotations).toHaveProperty(['example.com/role'], 'reader');
    expect(hostAccount.metadata.annotations).not.toHaveProperty(['other']);
    await eventually(async () => {
      const pod = await cluster.find<Pod>(PODS, named('sandboxed'));
      return pod?.status?.phase === 'Running' ? true : undefined;
    }, within('the pod runs'));
  });
});
