import { describe, expect, it } from 'vitest';
import {
  createRandom,
  deepFreeze,
  fullPod,
  generatedPod,
  JUNK,
} from '../../../../test/support/pod-samples.ts';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { RefusedError } from '../../kind.ts';
import { hostName } from '../../names.ts';
import type { Pod, PodSpec } from '../../objects.ts';
import { pods } from './kind.ts';
import { hostPodSpec } from './spec.ts';

const anything = translationContext({}, { profile: 'none', hostsImage: undefined });
const named = (plural: string, name: string) => hostName('vc', plural, { namespace: 'default', name });

function pod(spec: Partial<PodSpec>, metadata: Partial<Pod['metadata']> = {}): Pod {
  const containers = [{ name: 'app', image: 'example/app:1' }];
  return { metadata: { name: 'web', namespace: 'default', ...metadata }, spec: { containers, ...spec } };
}

/** Every path to a leaf of an object; list positions as `[]`, keys of maps as `*`. */
function paths(value: unknown, path = '', inMap = false): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => paths(item, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([field, item]) => {
    const isMap = ['labels', 'annotations', 'matchLabels', 'nodeSelector', 'limits', 'requests'].includes(
      field,
    );
    return paths(item, `${path}.${inMap ? '*' : field}`, isMap);
  });
}

describe('the allow-list', () => {
  const full = pods.toHost(fullPod(), anything);
  const known = new Set(paths(full));

  it('holds exactly these fields', () => {
    expect([...known].sort()).toMatchSnapshot();
  });

  it('lets no other field through, whatever a pod holds', () => {
    const random = createRandom(34);
    let accepted = 0;
    for (let round = 0; round < 1_000; round++) {
      const virtual = deepFreeze(generatedPod(random));
      let host: Pod | undefined;
      try {
        host = pods.toHost(virtual, anything);
      } catch (error) {
        // Where what was added looks like a volume type, it is refused by name.
        if (!(error instanceof RefusedError)) throw error;
        continue;
      }
      accepted++;
      const spec = JSON.stringify({ ...host?.spec, hostname: '' });
      expect(spec).not.toContain(JUNK);
      const unknown = paths(host).filter((path) => !known.has(path) && !path.endsWith('emptyDir'));
      expect(unknown).toEqual([]);
    }
    expect(accepted).toBeGreaterThan(100);
  });

  it('never names the host ServiceAccount, scheduler or priority that a tenant asks for', () => {
    expect(full?.spec).toMatchObject({
      serviceAccountName: 'vc-workload',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
    });
    for (const field of ['schedulerName', 'priorityClassName', 'priority', 'overhead', 'subdomain']) {
      expect(full?.spec).not.toHaveProperty(field);
    }
  });

  it('carries no label or annotation over under its own key (T5)', () => {
    const keys = [
      ...Object.keys(full?.metadata.labels ?? {}),
      ...Object.keys(full?.metadata.annotations ?? {}),
    ];
    expect(keys.filter((key) => !/^([a-z]\.)?mayfly\.dev\//.test(key))).toEqual([]);
    expect(full?.metadata.labels).not.toHaveProperty(['mayfly.dev/cluster']);
  });
});

describe('references', () => {
  it('are all mapped, so that no name reaches an object of somebody else (T8)', () => {
    const { spec } = pods.toHost(fullPod(), anything) ?? {};
    expect(spec?.imagePullSecrets).toEqual([{ name: named('secrets', 'pull') }]);
    const [app] = spec?.containers ?? [];
    expect(app?.envFrom).toEqual([
      { prefix: 'P_', configMapRef: { name: named('configmaps', 'all-settings'), optional: true } },
      { secretRef: { name: named('secrets', 'all-secrets') } },
    ]);
    const volume = (name: string) => spec?.volumes?.find((item) => item.name === name);
    expect(volume('config')?.configMap?.name).toBe(named('configmaps', 'settings'));
    expect(volume('secret')?.secret?.secretName).toBe(named('secrets', 'password'));
    expect(volume('data')?.persistentVolumeClaim?.claimName).toBe(
      named('persistentvolumeclaims', 'data-web-0'),
    );
    expect(volume('cache')?.persistentVolumeClaim?.claimName).toBe(
      named('persistentvolumeclaims', 'web-0-cache'),
    );
    expect(volume('api')?.projected?.sources?.[0]).toEqual({
      secret: { name: named('pods/tokens', 'web-0'), items: [{ key: 'api.0', path: 'token', mode: 0o600 }] },
    });
  });

  it('of a pod are listed each once', () => {
    const names = (pods.references?.(fullPod()) ?? []).map(({ type, name }) => `${type.plural}/${name}`);
    expect(names.sort()).toEqual([
      'configmaps/all-settings',
      'configmaps/kube-root-ca.crt',
      'configmaps/settings',
      'persistentvolumeclaims/data-web-0',
      'persistentvolumeclaims/web-0-cache',
      'secrets/all-secrets',
      'secrets/password',
      'secrets/pull',
      'serviceaccounts/junk-that-nobody-listed',
    ]);
  });
});

describe('dns', () => {
  it.each<[string, Partial<PodSpec>, Partial<PodSpec>]>([
    [
      'the cluster first',
      {},
      {
        dnsPolicy: 'None',
        dnsConfig: {
          nameservers: ['10.96.0.11'],
          searches: ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
          options: [{ name: 'ndots', value: '5' }],
        },
      },
    ],
    ['the node', { dnsPolicy: 'Default' }, { dnsPolicy: 'Default' }],
    [
      'its own settings',
      { dnsPolicy: 'None', dnsConfig: { nameservers: ['192.0.2.1'] } },
      { dnsPolicy: 'None', dnsConfig: { nameservers: ['192.0.2.1'] } },
    ],
  ])('asks %s', (_, spec, expected) => {
    expect(hostPodSpec(pod(spec), translationContext())).toMatchObject(expected);
  });

  it('lets the pod choose its own options', () => {
    const spec = hostPodSpec(
      pod({ dnsConfig: { options: [{ name: 'ndots', value: '1' }] } }),
      translationContext(),
    );
    expect(spec.dnsConfig?.options).toEqual([{ name: 'ndots', value: '1' }]);
  });
});

describe('the host name inside', () => {
  it.each([
    ['web', {}, 'web'],
    ['web', { hostname: 'chosen' }, 'chosen'],
    ['web.v2', {}, 'web-v2'],
    [`${'a'.repeat(62)}-tail`, {}, 'a'.repeat(62)],
  ])('of the pod %s is the one a kubelet gives', (name, spec, expected) => {
    expect(hostPodSpec(pod(spec, { name }), translationContext()).hostname).toBe(expected);
  });
});

describe('what a pod cannot have on the host', () => {
  it.each<[string, Partial<PodSpec>]>([
    ['spec.resourceClaims', { resourceClaims: [{ name: 'gpu' }] }],
    [
      'spec.volumes[0].projected.sources[0].clusterTrustBundle',
      { volumes: [{ name: 'x', projected: { sources: [{ clusterTrustBundle: { path: 'x' } }] } }] },
    ],
    [
      'spec.volumes[1].projected.sources[1].podCertificate',
      {
        volumes: [
          { name: 'x', secret: { secretName: 'x' } },
          {
            name: 'y',
            projected: {
              sources: [
                { secret: { name: 'x' } },
                { podCertificate: { keyType: 'ED25519', signerName: 'example.com/x' } },
              ],
            },
          },
        ],
      },
    ],
  ])('%s is refused and not dropped', (path, spec) => {
    expect(() => hostPodSpec(pod(spec), anything)).toThrow(RefusedError);
    expect(() => hostPodSpec(pod(spec), anything)).toThrow(path);
  });
});

describe('the file of a token', () => {
  const volumes = [{ name: 'api', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }];
  it.each([
    ['the group of its volumes', { fsGroup: 2000 }, 0o600],
    ['everybody in it, where there is no such group', {}, undefined],
  ])('is read by %s', (_, securityContext, mode) => {
    const translated = hostPodSpec(pod({ volumes, securityContext }), translationContext());
    const [source] = translated.volumes?.[0]?.projected?.sources ?? [];
    expect(source?.secret?.items).toEqual([{ key: 'api.0', path: 'token', ...(mode ? { mode } : {}) }]);
  });
});

describe('a runtime class', () => {
  const runtimeClass = (name: string, handler: string) => ({ metadata: { name }, handler });
  const runtimeClasses = [
    runtimeClass('gvisor', 'runsc'),
    runtimeClass('own', 'runsc'),
    runtimeClass('other', 'kata'),
  ];
  const sync = { ...translationContext().sync, runtimeClasses: ['gvisor'] };
  const classOf = (runtimeClassName: string) =>
    hostPodSpec(pod({ runtimeClassName }), translationContext({ runtimeClasses }, { sync })).runtimeClassName;

  it('that the operator gives stays as it is', () => {
    expect(classOf('gvisor')).toBe('gvisor');
  });

  it('that a tenant made is the one given that has its handler', () => {
    expect(classOf('own')).toBe('gvisor');
    expect(() => classOf('other')).toThrow(RefusedError);
  });
});
