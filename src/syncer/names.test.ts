import { describe, expect, it } from 'vitest';
import {
  hostAnnotationKey,
  hostLabelKey,
  hostName,
  isOwnKey,
  kindKey,
  parseKindKey,
  placeLabels,
  virtualKeyOf,
} from './names.ts';

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const QUALIFIED_NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$/;

describe('hostName', () => {
  it('is readable and begins with the virtual name', () => {
    expect(hostName('shop-412', 'pods', { namespace: 'default', name: 'web-0' })).toMatch(
      /^web-0-default-shop-412-[a-z2-7]{10}$/,
    );
  });

  it('keeps ambiguous pairs apart', () => {
    const one = hostName('vc', 'pods', { namespace: 'c', name: 'a-x-b' });
    const other = hostName('vc', 'pods', { namespace: 'b-x-c', name: 'a' });
    expect(one).not.toBe(other);
    expect(hostName('b-c', 'pods', { namespace: 'ns', name: 'a' })).not.toBe(
      hostName('c', 'pods', { namespace: 'ns-b', name: 'a' }),
    );
  });

  it('keeps kinds apart', () => {
    const name = { namespace: 'default', name: 'web' };
    expect(hostName('vc', 'secrets', name)).not.toBe(hostName('vc', 'configmaps', name));
  });

  it('keeps names apart that differ in what the readable part drops', () => {
    const names = ['a.b', 'a-b', 'A-b', 'a:b', 'a-b-'];
    expect(new Set(names.map((name) => hostName('vc', 'x', { name }))).size).toBe(names.length);
  });

  it.each([
    ['253 characters', { namespace: 'n'.repeat(63), name: `${'a'.repeat(250)}.bc` }],
    [
      '253 characters that differ at the end only',
      { namespace: 'n'.repeat(63), name: `${'a'.repeat(250)}.bd` },
    ],
    ['dots', { namespace: 'default', name: 'kube-root-ca.crt' }],
    ['a cut that ends in a dash', { namespace: 'default', name: `${'a'.repeat(51)}-b` }],
    ['nothing readable', { name: '___' }],
    ['cluster scope', { name: 'node.example.com' }],
  ])('is a DNS label for a name with %s', (_, name) => {
    expect(hostName('a-cluster-name-of-forty-characters-xxxxxx', 'pods', name)).toMatch(DNS_LABEL);
  });

  it('has no collision over 100,000 generated keys', () => {
    const seen = new Set<string>();
    for (let index = 0; index < 100_000; index++) {
      const name = hostName('vc', 'pods', { namespace: `team-${index % 97}`, name: `web-${index}` });
      seen.add(name.slice(-10));
    }
    expect(seen.size).toBe(100_000);
  });
});

describe('hostLabelKey', () => {
  it.each(['app', 'app.kubernetes.io/name', 'mayfly.dev/cluster', `${'p'.repeat(60)}.io/${'n'.repeat(63)}`])(
    'turns %s into a valid key with our prefix',
    (key) => {
      const [prefix, name] = hostLabelKey(key).split('/');
      expect(prefix).toBe('l.mayfly.dev');
      expect(name).toMatch(QUALIFIED_NAME);
    },
  );

  it('never lets a virtual label become one of our own', () => {
    expect(hostLabelKey('mayfly.dev/cluster')).not.toBe('mayfly.dev/cluster');
    expect(hostLabelKey('l.mayfly.dev/app')).not.toBe(hostLabelKey('app'));
  });

  it('differs from the annotation of the same key', () => {
    expect(hostAnnotationKey('app')).not.toBe(hostLabelKey('app'));
  });
});

describe('marks', () => {
  it('knows which keys are ours', () => {
    expect(['mayfly.dev/cluster', hostLabelKey('app'), hostAnnotationKey('x')].every(isOwnKey)).toBe(true);
    expect(['app', 'notmayfly.dev/x', 'cni.projectcalico.org/podIP', 'mayfly.device/x'].some(isOwnKey)).toBe(
      false,
    );
  });

  it('selects by cluster and namespace', () => {
    expect(placeLabels('vc', 'default')).toEqual({
      'mayfly.dev/cluster': 'vc',
      'mayfly.dev/virtual-namespace': 'default',
    });
    expect(placeLabels('vc', undefined)).toEqual({ 'mayfly.dev/cluster': 'vc' });
  });

  it('finds the virtual key by annotations and not by name', () => {
    expect(
      virtualKeyOf({
        name: 'reserved-1',
        annotations: { 'mayfly.dev/virtual-name': 'web', 'mayfly.dev/virtual-namespace': 'default' },
      }),
    ).toBe('default/web');
    expect(virtualKeyOf({ name: 'web-default-vc-abcdefghij' })).toBeUndefined();
  });

  it('reads a kind key back', () => {
    const key = kindKey({ group: 'discovery.k8s.io', plural: 'endpointslices' }, 'default/web-abc');
    expect(parseKindKey(key)).toEqual({ kind: 'endpointslices.discovery.k8s.io', key: 'default/web-abc' });
  });
});
