// NetworkPolicies and PodDisruptionBudgets between two real API servers: what only their validation, their defaults and the
// controllers of both sides decide about.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KubeError } from '../../../src/kube/errors.ts';
import {
  type KubeObject,
  NAMESPACES,
  NETWORK_POLICIES,
  POD_DISRUPTION_BUDGETS,
  PODS,
} from '../../../src/kube/resource.ts';
import type {
  NetworkPolicy,
  NetworkPolicySpec,
  Pod,
  PodDisruptionBudget,
} from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import { DEPLOYMENTS } from '../../support/resource-types.ts';
import {
  call,
  type SyncedCluster,
  sleeper,
  startSyncedCluster,
  within,
} from '../../support/synced-cluster.ts';

const named = (name: string) => ({ namespace: 'default', name });

let cluster: SyncedCluster;
beforeAll(async () => {
  cluster = await startSyncedCluster('policies');
});
afterAll(() => cluster?.remove());

const inside = () => cluster.inside.client;
const applied = (name: string, spec: NetworkPolicySpec) =>
  inside().create<NetworkPolicy>(NETWORK_POLICIES, { metadata: named(name), spec }, call());
const copied = (name: string, accept?: (copy: NetworkPolicy) => boolean) =>
  cluster.copied<NetworkPolicy>(NETWORK_POLICIES, name, accept);

describe('a NetworkPolicy', () => {
  it('takes from its pods what the chart lets open pods do, and gives it back with its end', async () => {
    await inside().create<Pod>(PODS, sleeper(named('web')), call());
    const labelsOf = (copy: Pod) => Object.keys(copy.metadata.labels ?? {});
    const open = ['mayfly.dev/open-egress', 'mayfly.dev/open-ingress'];
    const has = (wanted: string[]) => (copy: Pod) =>
      open.every((label) => labelsOf(copy).includes(label) === wanted.includes(label));
    await cluster.copied<Pod>(PODS, 'web', has(open));
    await applied('deny-in', { podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Ingress'] });
    await cluster.copied<Pod>(PODS, 'web', has(['mayfly.dev/open-egress']));
    const copy = await copied('deny-in');
    expect(copy.spec).toMatchObject({ policyTypes: ['Ingress'] });
    expect(copy.spec).not.toHaveProperty('ingress');
    await inside().delete(NETWORK_POLICIES, named('deny-in'), call());
    await cluster.copied<Pod>(PODS, 'web', has(open));
    await cluster.goneOnHost(NETWORK_POLICIES, 'deny-in');
  });

  it('is accepted by the host with every kind of rule, and written once', async () => {
    await applied('many', {
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'a' } } }], ports: [{ port: 'http' }] }, {}],
      egress: [
        {},
        { ports: [{ protocol: 'SCTP', port: 1, endPort: 9 }] },
        {
          to: [
            { namespaceSelector: {} },
            { ipBlock: { cidr: '0.0.0.0/0', except: ['10.0.0.0/8', '203.0.113.0/24'] } },
            { ipBlock: { cidr: '::/0' } },
            { ipBlock: { cidr: '2001:db8::/32', except: ['2001:db8:1::/48'] } },
          ],
        },
      ],
    });
    const copy = await copied('many');
    const blocks = (copy.spec?.egress ?? [])
      .flatMap(({ to = [] }) => to)
      .flatMap(({ ipBlock }) => ipBlock ?? []);
    expect(blocks.filter(({ cidr }) => cidr === '0.0.0.0/0')).toHaveLength(3);
    for (const { except } of blocks.filter(({ cidr }) => cidr === '0.0.0.0/0'))
      expect(except).toEqual(expect.arrayContaining(['169.254.0.0/16', '10.0.0.0/8', '172.16.0.0/12']));
    // Something else of the kind passes through the syncer, and nothing was left to be said about this one.
    await applied('after', { podSelector: {} });
    await copied('after');
    const { metadata } = await copied('many');
    expect(metadata.generation).toBe(1);
  });

  it('never opens what the operator denies, and tells so (T14)', async () => {
    await applied('metadata', {
      podSelector: {},
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: '169.254.169.254/32' } }], ports: [{ port: 80 }] }],
    });
    expect((await copied('metadata')).spec).not.toHaveProperty('egress');
    const { message } = await cluster.warned('metadata', 'BlockNarrowed');
    expect(message).toContain('spec.egress[0].to[0].ipBlock: 169.254.169.254/32 is out of reach');
  });

  it('reaches this cluster’s pods by their addresses, as long as they have them', async () => {
    const pod = await eventually(async () => {
      const found = await cluster.find<Pod>(PODS, named('web'));
      return found?.status?.podIP ? found : undefined;
    }, within('the pod has an address'));
    const address = pod.status?.podIP ?? '';
    await applied('by-address', {
      podSelector: {},
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: `${address}/24` } }] }],
    });
    const reaches = (copy: NetworkPolicy) =>
      (copy.spec?.egress ?? []).flatMap(({ to = [] }) => to).map(({ ipBlock }) => ipBlock?.cidr);
    await copied('by-address', (copy) => reaches(copy).includes(`${address}/32`));
    await inside().delete(PODS, named('web'), call());
    await copied('by-address', (copy) => !reaches(copy).includes(`${address}/32`));
  });

  it('allows DNS where it selects the pods of kube-dns', async () => {
    await applied('dns', {
      podSelector: {},
      policyTypes: ['Egress'],
      egress: [
        {
          to: [
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
              podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
            },
          ],
          ports: [{ protocol: 'UDP', port: 53 }],
        },
      ],
    });
    const { spec } = await copied('dns');
    const selector = spec?.egress?.[1]?.to?.[0]?.podSelector;
    expect(spec?.egress?.[1]?.ports).toEqual([{ protocol: 'UDP', port: 53 }]);
    const labelSelector = Object.entries(selector?.matchLabels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(',');
    const { items } = await cluster.host.client.list<Pod>(PODS, {
      namespace: cluster.hostNamespace,
      labelSelector,
      ...call(),
    });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['policies-0']);
  });

  it('follows the labels of namespaces', async () => {
    const shop = { name: 'shop' };
    await inside().create(NAMESPACES, { metadata: { ...shop, labels: { tier: 'shop' } } }, call());
    await applied('from-shops', {
      podSelector: {},
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ namespaceSelector: { matchLabels: { tier: 'shop' } } }] }],
    });
    const placesOf = ({ spec }: NetworkPolicy) =>
      spec?.ingress?.[0]?.from?.[0]?.podSelector?.matchExpressions?.find(
        ({ key }) => key === 'mayfly.dev/virtual-namespace',
      )?.values;
    await copied('from-shops', (copy) => placesOf(copy)?.join() === 'shop');
    const relabel = (labels: Record<string, string | null>) =>
      inside().patch(NAMESPACES, shop, { type: 'merge', body: { metadata: { labels } } }, call());
    await relabel({ tier: null });
    await copied('from-shops', (copy) => copy.spec?.ingress === undefined);
    await relabel({ tier: 'shop' });
    await copied('from-shops', (copy) => placesOf(copy)?.join() === 'shop');
  });
});

describe('a PodDisruptionBudget', () => {
  const evict = async ({ metadata }: Pod) => {
    const { namespace, name } = metadata;
    const eviction: KubeObject = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { namespace, name } };
    return cluster.host.client
      .create(PODS, eviction, { subresource: 'eviction', name, ...call() })
      .then(() => 'evicted')
      .catch((error: unknown) => {
        if (error instanceof KubeError) return error.status;
        throw error;
      });
  };
  const replicas = async () => {
    const labelSelector = 'mayfly.dev/cluster=policies';
    const { items } = await cluster.host.client.list<Pod>(PODS, {
      namespace: cluster.hostNamespace,
      labelSelector,
      ...call(),
    });
    return items.filter(({ metadata, status }) => {
      const ready = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True');
      return ready && !metadata.deletionTimestamp && metadata.name?.startsWith('shop-');
    });
  };
  const bothReady = () =>
    eventually(async () => {
      const found = await replicas();
      return found.length === 2 ? found : undefined;
    }, within('both replicas are ready'));

  it('stops evictions on the host as it does inside, of what its owner’s replicas leave no room for', async () => {
    const template = sleeper(named('shop'));
    await inside().create(
      DEPLOYMENTS,
      {
        metadata: named('shop'),
        spec: {
          replicas: 2,
          selector: { matchLabels: { app: 'shop' } },
          template: { metadata: { labels: { app: 'shop' } }, spec: template.spec },
        },
      } as KubeObject,
      call(),
    );
    const [first] = await bothReady();
    await inside().create<PodDisruptionBudget>(
      POD_DISRUPTION_BUDGETS,
      {
        metadata: named('shop'),
        spec: { maxUnavailable: 0, selector: { matchLabels: { app: 'shop' } } },
      },
      call(),
    );
    const counted = ({ spec, status }: PodDisruptionBudget) =>
      spec?.minAvailable === 2 && status?.currentHealthy === 2;
    await cluster.copied<PodDisruptionBudget>(POD_DISRUPTION_BUDGETS, 'shop', counted);
    expect(first && (await evict(first))).toBe(429);

    const body = { spec: { maxUnavailable: '50%' } };
    await inside().patch(POD_DISRUPTION_BUDGETS, named('shop'), { type: 'merge', body }, call());
    const hasRoom = ({ status }: PodDisruptionBudget) => status?.disruptionsAllowed === 1;
    await cluster.copied<PodDisruptionBudget>(POD_DISRUPTION_BUDGETS, 'shop', hasRoom);
    expect(first && (await evict(first))).toBe('evicted');
    await eventually(
      async () =>
        (await replicas()).some(({ metadata }) => metadata.uid === first?.metadata.uid) ? undefined : true,
      within('the evicted pod goes'),
    );
    await bothReady();
    const own = await cluster.find<PodDisruptionBudget>(POD_DISRUPTION_BUDGETS, named('shop'));
    expect(own?.status).toMatchObject({ expectedPods: 2, desiredHealthy: 1 });
  });
});
