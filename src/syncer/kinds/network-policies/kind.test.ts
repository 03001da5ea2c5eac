import { describe, expect, it } from 'vitest';
import { translationContext, type VirtualObjects } from '../../../../test/support/translation-context.ts';
import { keyOf, NAMESPACES, PODS } from '../../../kube/resource.ts';
import { createStore } from '../../../kube/store.ts';
import type { NetworkPolicy, NetworkPolicySpec } from '../../objects.ts';
import { hostSelector } from '../../selectors.ts';
import { networkPolicies } from './kind.ts';

const DENIED = ['169.254.0.0/16', '10.0.0.0/8', 'fc00::/7'];
const WORLD = [
  { ipBlock: { cidr: '0.0.0.0/0', except: ['169.254.0.0/16', '10.0.0.0/8'] } },
  { ipBlock: { cidr: '::/0', except: ['fc00::/7'] } },
];
const OWN = { podSelector: { matchLabels: { 'mayfly.dev/cluster': 'vc' } } };
const CONTROL_PLANE = {
  podSelector: {
    matchLabels: { 'app.kubernetes.io/name': 'virtual-cluster', 'app.kubernetes.io/instance': 'vc' },
  },
};
const DNS = [
  { protocol: 'UDP', port: 53 },
  { protocol: 'TCP', port: 53 },
];
const API = { protocol: 'TCP', port: 6443 };
const NAMESPACE_LABEL = 'kubernetes.io/metadata.name';
const namespace = (name: string, labels: Record<string, string> = {}) => ({
  metadata: { name, labels: { [NAMESPACE_LABEL]: name, ...labels } },
});
const objects: VirtualObjects = {
  namespaces: [
    namespace('kube-system'),
    namespace('team'),
    namespace('shop-b', { tier: 'shop' }),
    namespace('shop-a', { tier: 'shop' }),
  ],
  workloadAddresses: ['10.244.1.5', '10.244.2.6', 'fd00::7'],
};
const network = { isolated: true, deniedCidrs: DENIED, controlPlaneAddresses: ['10.244.9.9'] };
const isolated = translationContext(objects, { network });
const open = translationContext(objects, { network: { ...network, isolated: false } });
const policy = (spec: Partial<NetworkPolicySpec>, inNamespace = 'team'): NetworkPolicy => ({
  metadata: { namespace: inNamespace, name: 'policy' },
  spec: { podSelector: {}, ...spec },
});
const onHost = (spec: Partial<NetworkPolicySpec>, context = isolated, inNamespace = 'team') =>
  networkPolicies.toHost(policy(spec, inNamespace), context)?.spec;
const pods = (labels: Record<string, string>, namespaces?: string[]) => ({
  podSelector: hostSelector({ matchLabels: labels }, 'vc', namespaces),
});

describe('whom a policy is about', () => {
  it('is the pods it selects, of its own namespace and cluster: never the control plane', () => {
    expect(onHost({ podSelector: { matchLabels: { app: 'web' } } })).toEqual({
      podSelector: hostSelector({ matchLabels: { app: 'web' } }, 'vc', ['team']),
      policyTypes: ['Ingress'],
    });
    expect(onHost({})?.podSelector).toEqual(hostSelector({}, 'vc', ['team']));
  });

  it.each([
    ['as it says', { policyTypes: ['Egress'] }, ['Egress']],
    ['ingress where it says nothing', {}, ['Ingress']],
    ['both where it has rules for egress', { egress: [{}] }, ['Ingress', 'Egress']],
  ])('has the types %s', (_, spec, policyTypes) => {
    expect(onHost(spec)).toMatchObject({ policyTypes });
  });

  it('keeps its type when no rule is left, and so forbids everything', () => {
    const nobody = [{ from: [{ namespaceSelector: { matchLabels: { tier: 'none' } } }] }];
    const spec = onHost({ ingress: nobody });
    expect(spec).toMatchObject({ policyTypes: ['Ingress'] });
    expect(spec).not.toHaveProperty('ingress');
  });
});

describe('who may come in', () => {
  it.each([
    [
      'pods of the same namespace',
      { podSelector: { matchLabels: { app: 'a' } } },
      pods({ app: 'a' }, ['team']),
    ],
    ['every pod of the same namespace', { podSelector: {} }, pods({}, ['team'])],
    [
      'pods of namespaces that match',
      { namespaceSelector: { matchLabels: { tier: 'shop' } }, podSelector: { matchLabels: { app: 'a' } } },
      pods({ app: 'a' }, ['shop-a', 'shop-b']),
    ],
    ['pods of all namespaces, of this cluster alone', { namespaceSelector: {} }, OWN],
  ])('%s', (_, peer, expected) => {
    expect(onHost({ ingress: [{ from: [peer] }] })?.ingress).toEqual([{ from: [expected] }]);
  });

  it('is nobody but this cluster’s pods where a rule names nobody', () => {
    const ports = [{ protocol: 'TCP', port: 'http' }];
    expect(onHost({ ingress: [{ ports }, { from: [] }] })?.ingress).toEqual([
      { from: [OWN], ports },
      { from: [OWN] },
    ]);
  });

  it('is this cluster’s pods in a block of addresses, and nobody from elsewhere', () => {
    const from = (cidr: string, except?: string[]) =>
      onHost({ ingress: [{ from: [{ ipBlock: { cidr, except } }] }] })?.ingress;
    expect(from('10.244.1.0/24')).toEqual([{ from: [{ ipBlock: { cidr: '10.244.1.5/32' } }] }]);
    expect(from('10.244.0.0/16', ['10.244.2.0/24'])).toEqual([
      { from: [{ ipBlock: { cidr: '10.244.1.5/32' } }] },
    ]);
    expect(from('203.0.113.0/24')).toBeUndefined();
    expect(from('0.0.0.0/0')).toEqual([{ from: [OWN] }]);
  });

  it('is as the tenant says where the operator has no policies', () => {
    const ingress = [{}, { from: [{ ipBlock: { cidr: '10.0.0.0/8' } }], ports: [{ port: 80, endPort: 90 }] }];
    expect(onHost({ ingress }, open)?.ingress).toEqual(ingress);
  });
});

describe('whereto pods may go', () => {
  it('is this cluster, DNS, API and what the operator does not deny where a rule names nothing', () => {
    expect(onHost({ egress: [{}] })?.egress).toEqual([
      { to: [OWN, ...WORLD] },
      { to: [CONTROL_PLANE], ports: [...DNS, API] },
    ]);
  });

  it.each([
    ['UDP 53', [{ protocol: 'UDP', port: 53 }], [DNS[0]]],
    ['the name of the port of DNS', [{ protocol: 'UDP', port: 'dns' }], [DNS[0]]],
    ['a range of ports', [{ protocol: 'TCP', port: 1, endPort: 100 }], [DNS[1]]],
    ['every port of a protocol', [{ protocol: 'TCP' }], [DNS[1], API]],
    ['no protocol, which is TCP', [{ port: 6443 }], [API]],
  ])('is the control plane at %s', (_, ports, expected) => {
    const egress = onHost({ egress: [{ ports }] })?.egress;
    expect(egress?.[0]?.ports).toEqual(ports);
    expect(egress?.[1]).toEqual({ to: [CONTROL_PLANE], ports: expected });
  });

  it('is not the control plane at other ports', () => {
    expect(onHost({ egress: [{ ports: [{ protocol: 'TCP', port: 443 }] }] })?.egress).toHaveLength(1);
  });

  it.each([
    [
      'by namespace and labels',
      {
        namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: 'kube-system' } },
        podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
      },
    ],
    [
      'by labels in all namespaces',
      { namespaceSelector: {}, podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } } },
    ],
    ['by all namespaces', { namespaceSelector: {} }],
    ['by its namespace', { namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: 'kube-system' } } }],
  ])('is the DNS of the cluster where the pods of kube-dns are selected %s', (_, peer) => {
    expect(onHost({ egress: [{ to: [peer], ports: [{ protocol: 'UDP', port: 53 }] }] })?.egress?.[1]).toEqual(
      {
        to: [CONTROL_PLANE],
        ports: [DNS[0]],
      },
    );
    expect(onHost({ egress: [{ to: [peer] }] })?.egress?.[1]?.ports).toEqual(DNS);
  });

  it('is the DNS of the cluster for peers of kube-system itself', () => {
    const egress = [{ to: [{ podSelector: {} }] }];
    expect(onHost({ egress }, isolated, 'kube-system')?.egress).toHaveLength(2);
    expect(onHost({ egress }, isolated, 'team')?.egress).toHaveLength(1);
  });

  it.each([
    ['other pods', { namespaceSelector: {}, podSelector: { matchLabels: { app: 'web' } } }],
    ['other namespaces', { namespaceSelector: { matchLabels: { tier: 'shop' } } }],
  ])('is no DNS where %s are selected', (_, peer) => {
    expect(onHost({ egress: [{ to: [peer] }] })?.egress).toHaveLength(1);
  });

  it.each([
    ['its pod', '10.244.9.9/32'],
    ['the Service of the API', '10.96.0.10/32'],
    ['the Service of the DNS', '10.96.0.11/32'],
  ])('is the control plane where a block holds the address of %s', (_, cidr) => {
    expect(onHost({ egress: [{ to: [{ ipBlock: { cidr } }] }] })?.egress).toEqual([
      { to: [CONTROL_PLANE], ports: [...DNS, API] },
    ]);
  });

  it('never is what the operator denies: policies add up, and this one would allow it (T14)', () => {
    const to = [
      { ipBlock: { cidr: '169.254.169.254/32' } },
      { ipBlock: { cidr: '10.0.0.0/8' } },
      { ipBlock: { cidr: '8.0.0.0/6', except: ['9.0.0.0/8'] } },
    ];
    const reached = onHost({ egress: [{ to }] })?.egress?.[0]?.to;
    expect(reached).toEqual([
      { ipBlock: { cidr: '10.244.1.5/32' } },
      { ipBlock: { cidr: '10.244.2.6/32' } },
      { ipBlock: { cidr: '8.0.0.0/6', except: ['9.0.0.0/8', '10.0.0.0/8'] } },
    ]);
    expect(onHost({ egress: [{ to: to.slice(0, 1) }] })).not.toHaveProperty('egress');
  });

  it('is this cluster’s pods in a block that is denied otherwise, address by address', () => {
    const to = [{ ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.2.0/24'] } }];
    expect(onHost({ egress: [{ to }] })?.egress?.[0]?.to).toEqual([{ ipBlock: { cidr: '10.244.1.5/32' } }]);
  });

  it('is as the tenant says where the operator has no policies', () => {
    const egress = [{}, { to: [{ ipBlock: { cidr: '192.0.2.0/24' } }] }];
    expect(onHost({ egress }, open)?.egress).toEqual(egress);
  });
});

describe('what is told', () => {
  const told = (spec: Partial<NetworkPolicySpec>, context = isolated) =>
    networkPolicies.notices?.(policy(spec), context).map(({ message }) => message);

  it('is a block that is out of reach, and one that lets nobody in', () => {
    const to = [{ ipBlock: { cidr: '0.0.0.0/0' } }, { ipBlock: { cidr: '10.0.0.0/8' } }];
    const from = [{ ipBlock: { cidr: '203.0.113.0/24' } }];
    expect(told({ egress: [{ to }], ingress: [{ from }] })).toEqual([
      'spec.egress[0].to[1].ipBlock: 10.0.0.0/8 is out of reach but for this cluster’s own pods',
      'spec.ingress[0].from[0].ipBlock: who reaches pods from outside of the cluster is the operator’s to say',
    ]);
  });

  it('is nothing where the operator has no policies', () => {
    expect(told({ egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }] }, open)).toEqual([]);
  });
});

describe('what a policy follows', () => {
  const own = createStore<NetworkPolicy>();
  const named = (name: string, spec: Partial<NetworkPolicySpec>) => ({
    ...policy(spec),
    metadata: { namespace: 'team', name },
  });
  own.replace([
    named('by-namespace', { ingress: [{ from: [{ namespaceSelector: {} }] }] }),
    named('by-block', { egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }] }),
    named('by-pod', { egress: [{ to: [{ podSelector: {} }] }] }),
  ]);
  it.each([
    ['namespaces come, go or change their labels', NAMESPACES, 'by-namespace'],
    ['pods get or lose addresses', PODS, 'by-block'],
  ])('%s', (_, type, name) => {
    const observation = networkPolicies.observes?.find((candidate) => candidate.type === type);
    expect(observation?.keys({ metadata: {} }, own)).toEqual([keyOf(named(name, {}))]);
  });
});
