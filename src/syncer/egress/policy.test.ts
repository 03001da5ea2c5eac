import { describe, expect, it } from 'vitest';
import { createStore } from '../../kube/store.ts';
import { ANNOTATION_UID } from '../names.ts';
import type { Node, Pod, Service } from '../objects.ts';
import { createNodeStore, INDEX } from '../stores.ts';
import { createAllowList } from './allow-list.ts';
import { decide, type EgressStores, type Selector } from './policy.ts';

const OURS = { annotations: { [ANNOTATION_UID]: 'u' } };

const pod = (name: string, ip: string, rest: Partial<Pod> = {}): Pod => ({
  metadata: { name, ...OURS },
  spec: { containers: [] },
  status: { phase: 'Running', podIPs: [{ ip }] },
  ...rest,
});

function stores(): EgressStores {
  const nodes = createNodeStore();
  const pods = createStore<Pod>({
    indexers: { [INDEX.byPodIp]: ({ status }) => (status?.podIPs ?? []).map(({ ip }) => ip) },
  });
  const services = createStore<Service>({
    indexers: { [INDEX.byClusterIp]: ({ spec }) => spec?.clusterIPs ?? [] },
  });
  nodes.replace([
    { metadata: { name: 'n1' }, status: { addresses: [{ type: 'InternalIP', address: '192.168.0.5' }] } },
    {
      metadata: { name: 'fake' },
      status: { addresses: [{ type: 'InternalIP', address: '169.254.169.254' }] },
    },
  ] satisfies Node[]);
  pods.replace([
    pod('web', '10.244.0.9'),
    pod('web6', 'fd00::9'),
    pod('on-node', '192.168.0.5', { spec: { containers: [], hostNetwork: true } }),
    pod('done', '10.244.0.10', { status: { phase: 'Succeeded', podIPs: [{ ip: '10.244.0.10' }] } }),
    pod('broken', '10.244.0.11', { status: { phase: 'Failed', podIPs: [{ ip: '10.244.0.11' }] } }),
    pod('control-plane', '10.244.0.12', { metadata: { name: 'control-plane' } }),
  ]);
  services.replace([
    {
      metadata: { name: 'web', ...OURS },
      spec: { clusterIPs: ['10.96.0.20'], ports: [{ port: 443 }, { port: 53, protocol: 'UDP' }] },
    },
    { metadata: { name: 'reserved' }, spec: { clusterIPs: ['10.96.0.21'], ports: [{ port: 443 }] } },
  ]);
  return { virtual: { nodes }, host: { pods, services } };
}

const STORES = stores();
const ALLOWED = createAllowList(['hooks.example.com:443', '*.example.org:8443', '10.9.9.9:443']);
const go = (authority: string, selector: Selector = 'cluster') =>
  decide(authority, selector, STORES, ALLOWED);
const REFUSED = { kind: 'refused' };

describe('the cluster selector', () => {
  it('reaches pods of this cluster on any port', () => {
    expect(go('10.244.0.9:8080')).toEqual({ kind: 'own', address: '10.244.0.9', port: 8080 });
    expect(go('[fd00::9]:8080')).toEqual({ kind: 'own', address: 'fd00::9', port: 8080 });
  });

  it('reaches no pod of the node’s network, none that ended and none of another owner', () => {
    expect(go('192.168.0.5:22')).toMatchObject(REFUSED);
    expect(go('10.244.0.10:80')).toMatchObject(REFUSED);
    expect(go('10.244.0.11:80')).toMatchObject(REFUSED);
    expect(go('10.244.0.12:6443')).toMatchObject(REFUSED);
  });

  it('reaches the TCP ports a Service of this cluster exposes, and no others', () => {
    expect(go('10.96.0.20:443')).toEqual({ kind: 'own', address: '10.96.0.20', port: 443 });
    expect(go('10.96.0.20:53')).toMatchObject(REFUSED);
    expect(go('10.96.0.20:80')).toMatchObject(REFUSED);
    expect(go('10.96.0.21:443')).toMatchObject(REFUSED);
  });

  it('finds a kubelet at the address of every virtual node, and that is all a made-up node gives', () => {
    expect(go('192.168.0.5:10250')).toEqual({ kind: 'kubelet', nodeAddress: '192.168.0.5' });
    expect(go('169.254.169.254:10250')).toEqual({ kind: 'kubelet', nodeAddress: '169.254.169.254' });
    expect(go('169.254.169.254:80')).toMatchObject(REFUSED);
    expect(go('192.168.0.6:10250')).toMatchObject(REFUSED);
  });

  it('reaches the metrics API by its name', () => {
    expect(go('metrics.syncer.mayfly.internal:443')).toEqual({ kind: 'metrics' });
    expect(go('metrics.syncer.mayfly.internal:80')).toMatchObject(REFUSED);
  });

  it.each([
    '127.0.0.1:6443',
    '[::1]:6443',
    '169.254.169.254:80',
    '10.96.0.1:443',
    '[::ffff:10.244.0.9]:80',
    'hooks.example.com:443',
    '10.9.9.9:443',
    'admission.syncer.mayfly.internal:443',
    'kubernetes.default.svc:443',
    'nonsense',
  ])('refuses %s, and says why', (authority) => {
    expect(go(authority)).toMatchObject({ kind: 'refused', reason: expect.stringMatching(/^.{20,}$/) });
  });
});

describe('the controlplane selector', () => {
  it('reaches the admission server by its name', () => {
    expect(go('admission.syncer.mayfly.internal:443', 'controlplane')).toEqual({ kind: 'admission' });
    expect(go('admission.syncer.mayfly.internal:80', 'controlplane')).toMatchObject(REFUSED);
    expect(go('metrics.syncer.mayfly.internal:443', 'controlplane')).toMatchObject(REFUSED);
  });

  it.each(['hooks.example.com:443', 'a.example.org:8443', 'a.b.example.org:8443', '10.9.9.9:443'])(
    'reaches %s, which the operator listed',
    (authority) => expect(go(authority, 'controlplane')).toMatchObject({ kind: 'external' }),
  );

  it.each([
    'hooks.example.com:80',
    'x.hooks.example.com:443',
    'example.org:8443',
    'evilexample.org:8443',
    'a.example.org:443',
    '10.9.9.9:80',
    '10.9.9.10:443',
    '192.168.0.5:10250',
  ])('refuses %s', (authority) => expect(go(authority, 'controlplane')).toMatchObject(REFUSED));

  it('reaches pods and Services of this cluster by address', () => {
    expect(go('10.244.0.9:8443', 'controlplane')).toMatchObject({ kind: 'own' });
  });
});

describe('the list of external addresses', () => {
  it.each(['example.com', '*:443', '*.10.0.0.1:443', 'https://example.com:443', 'Example.com:443', ''])(
    'does not take %j',
    (entry) => expect(() => createAllowList([entry])).toThrow(/is not name:port/),
  );
});
