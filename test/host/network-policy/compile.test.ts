// What packets cannot show of the rules: how large they get, and whose they are. What they mean is shown by
// test/integration/network-policy.test.ts.
import { describe, expect, it } from 'vitest';
import type { NetworkPolicy } from '../../../src/syncer/objects.ts';
import { type Cluster, compileRules } from './compile.ts';
import type { NetworkedPod } from './networked-pod.ts';

const HERE = { node: 'here', bridge: 'pods' };

function pod(index: number, namespace: string, node = 'here'): NetworkedPod {
  const address = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
  return { namespace, node, addresses: [address], labels: { app: namespace }, ports: [] };
}

function policy(namespace: string): NetworkPolicy {
  const own = { podSelector: { matchLabels: { app: namespace } } };
  return {
    metadata: { namespace, name: 'default' },
    spec: {
      ...own,
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [own] }],
      egress: [{ to: [own] }, { to: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['10.0.0.0/8'] } }] }],
    },
  };
}

const cluster = (pods: readonly NetworkedPod[]): Cluster => ({
  pods,
  namespaces: new Map(),
  policies: [...new Set(pods.map(({ namespace }) => namespace))].map(policy),
});

describe('compileRules', () => {
  it('grows with pods by their addresses only, and with policies by one chain for each direction', () => {
    const pods = Array.from({ length: 500 }, (_, index) => pod(index, `tenant-${index % 100}`));
    const rules = compileRules(cluster(pods), HERE);
    expect(rules.match(/^chain (in|e)gress_/gm)).toHaveLength(200);
    expect(rules.match(/^set peers_/gm)).toHaveLength(100);
    expect(rules.length).toBeLessThan(150_000);
  });

  it('holds nothing about policies of other nodes’ pods', () => {
    const rules = compileRules(cluster([pod(1, 'here'), pod(2, 'there', 'there')]), HERE);
    expect(rules).toContain('10.0.0.1');
    expect(rules).not.toContain('10.0.0.2');
  });

  it('knows pods of other nodes as peers', () => {
    const rules = compileRules(cluster([pod(1, 'shared'), pod(2, 'shared', 'there')]), HERE);
    expect(rules).toMatch(
      /set peers_\w+ \{\n {2}type ipv4_addr\n {2}elements = \{ 10\.0\.0\.1, 10\.0\.0\.2 \}/,
    );
  });

  it('is the same for the same cluster, so that it is not applied again', () => {
    const pods = [pod(1, 'one'), pod(2, 'two')];
    expect(compileRules(cluster(pods), HERE)).toBe(compileRules(structuredClone(cluster(pods)), HERE));
  });

  it('isolates a pod by each of its addresses, and lets in to each whom a peer or block of its family names', () => {
    const own = { podSelector: { matchLabels: { app: 'here' } } };
    const blocks = [{ ipBlock: { cidr: 'fd00::/8' } }, { ipBlock: { cidr: '192.0.2.0/24' } }];
    const policies = [
      { ...policy('here'), spec: { podSelector: {}, ingress: [{ from: [own, ...blocks] }] } },
    ];
    const pods = [{ ...pod(1, 'here'), addresses: ['10.0.0.1', 'fd00::1'] }];
    const [ip = '', ip6 = ''] = compileRules({ ...cluster(pods), policies }, HERE).split(
      'table ip6 network_policy {',
    );
    expect(ip).toMatch(/map ingress \{[^}]*\{ 10\.0\.0\.1 : jump ingress_\w+ \}/);
    expect(ip).toMatch(
      /chain ingress_\w+ \{\n {2}ip saddr @peers_\w+ {2}return\n {2}ip saddr 192\.0\.2\.0\/24/,
    );
    expect(ip).not.toContain('fd00');
    expect(ip6).toMatch(/map ingress \{[^}]*\{ fd00::1 : jump ingress_\w+ \}/);
    expect(ip6).toMatch(/chain ingress_\w+ \{\n {2}ip6 saddr @peers_\w+ {2}return\n {2}ip6 saddr fd00::\/8/);
    expect(ip6).not.toMatch(/10\.0\.0\.1|192\.0\.2/);
  });

  it('makes nothing of address blocks of another family', () => {
    const { metadata, spec } = policy('here');
    const policies = [{ metadata, spec: { ...spec, ingress: [{ from: [{ ipBlock: { cidr: '::/0' } }] }] } }];
    const rules = compileRules({ ...cluster([pod(1, 'here')]), policies }, HERE);
    expect(rules).toMatch(/chain ingress_\w+ \{\n {2}counter drop\n\}/);
  });
});
