import { afterEach, describe, expect, it, vi } from 'vitest';
import { fullIngress } from '../../../../test/support/policy-samples.ts';
import { hostKey, type SyncerHarness, startSyncer } from '../../../../test/support/syncer-harness.ts';
import { translationContext } from '../../../../test/support/translation-context.ts';
import {
  EVENTS,
  INGRESS_CLASSES,
  INGRESSES,
  type ResourceType,
  SECRETS,
  SERVICES,
} from '../../../kube/resource.ts';
import type { SyncOptions } from '../../kind.ts';
import { hostName } from '../../names.ts';
import type { Event, Ingress, IngressClass, IngressSpec } from '../../objects.ts';
import { ingresses } from './kind.ts';

const metadata = { namespace: 'team', name: 'shop' };
const named = ({ plural }: ResourceType, name: string) => hostName('vc', plural, { namespace: 'team', name });
const fromHost = (name: string): IngressClass => ({
  metadata: { name, annotations: { 'mayfly.dev/from-host': 'true' } },
});
const own = (name: string): IngressClass => ({ metadata: { name } });
const { sync } = translationContext();
const withOptions = (options: Partial<SyncOptions>, ingressClasses: IngressClass[] = []) =>
  translationContext({ ingressClasses }, { sync: { ...sync, ...options } });
const forHosts = (...hosts: string[]) => withOptions({ ingresses: { annotations: [], hosts } });
const ingress = (spec: Partial<IngressSpec>, annotations?: Record<string, string>): Ingress => ({
  metadata: { ...metadata, annotations },
  spec,
});
const backend = { service: { name: 'web', port: { number: 80 } } };
const rule = (host: string | undefined, path = '/') => ({
  host,
  http: { paths: [{ path, pathType: 'Prefix', backend }] },
});

describe('an Ingress on the host', () => {
  it('leads to the host’s names of its Services and certificates (T8)', () => {
    expect(ingresses.toHost(fullIngress(metadata), translationContext())?.spec).toEqual({
      defaultBackend: { service: { name: named(SERVICES, 'web'), port: { number: 80 } } },
      rules: [
        {
          host: 'shop.example.com',
          http: {
            paths: [
              {
                path: '/api',
                pathType: 'Prefix',
                backend: { service: { name: named(SERVICES, 'api'), port: { name: 'http' } } },
              },
            ],
          },
        },
      ],
      tls: [{ hosts: ['shop.example.com'], secretName: named(SECRETS, 'shop-tls') }],
    });
  });

  it('refers to each once, and waits for certificates only', () => {
    expect(ingresses.references?.(fullIngress(metadata))).toEqual([
      { type: SERVICES, namespace: 'team', name: 'web', isAwaited: false },
      { type: SERVICES, namespace: 'team', name: 'api', isAwaited: false },
      { type: SECRETS, namespace: 'team', name: 'shop-tls' },
    ]);
    const twice = ingress({ defaultBackend: backend, rules: [rule('a.example.com'), rule('b.example.com')] });
    expect(ingresses.references?.(twice)).toHaveLength(1);
  });

  it('keeps the class that the host’s admission put in', () => {
    const desired = ingresses.toHost(fullIngress(metadata), translationContext());
    const host = { metadata: {}, spec: { ingressClassName: 'default-one' } };
    expect(desired && ingresses.merge(host, desired).spec?.ingressClassName).toBe('default-one');
  });

  it('tells the addresses of its controller inside, and nothing else', () => {
    const host: Ingress = {
      metadata: {},
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.7', hostname: 'lb.example.com' }] } },
    };
    expect(ingresses.toVirtual?.(host, fullIngress(metadata), translationContext()).status).toEqual(
      host.status,
    );
  });
});

describe('annotations', () => {
  const annotations = {
    'nginx.ingress.kubernetes.io/configuration-snippet': 'proxy_pass http://169.254.169.254;',
    'cert-manager.io/cluster-issuer': 'public',
    'kubectl.kubernetes.io/last-applied-configuration': '{}',
  };
  const allowed = withOptions({
    ingresses: { annotations: ['cert-manager.io/cluster-issuer'], hosts: [] },
  });
  const onHost = (given: Record<string, string>) =>
    ingresses.toHost(ingress({ defaultBackend: backend }, given), allowed);

  it('stay inside, snippets for controllers among them, and that is told (T5)', () => {
    const virtual = ingress({ defaultBackend: backend }, annotations);
    expect(ingresses.toHost(virtual, translationContext())?.metadata.annotations).toEqual({});
    expect(ingresses.notices?.(virtual, translationContext())).toEqual([
      {
        reason: 'AnnotationDropped',
        message:
          'metadata.annotations: not given to Ingresses on the host: cert-manager.io/cluster-issuer, ' +
          'nginx.ingress.kubernetes.io/configuration-snippet',
      },
    ]);
  });

  it('reach the host where the operator lists them, and go with those inside', () => {
    const desired = onHost(annotations);
    expect(desired?.metadata.annotations).toEqual({
      'cert-manager.io/cluster-issuer': 'public',
      'mayfly.dev/passed-annotations': 'cert-manager.io/cluster-issuer',
    });
    const host: Ingress = { metadata: { annotations: { 'host.example.com/x': 'y' } } };
    const merged = desired ? ingresses.merge(host, desired) : host;
    expect(merged.metadata.annotations).toMatchObject({
      'cert-manager.io/cluster-issuer': 'public',
      'host.example.com/x': 'y',
    });
    const without = onHost({});
    expect(without && ingresses.merge(merged, without).metadata.annotations).toEqual({
      'host.example.com/x': 'y',
    });
  });
});

describe('the class of an Ingress', () => {
  const classOf = (virtual: Ingress, context = withOptions({}, [fromHost('public'), own('inner')])) =>
    ingresses.toHost(virtual, context)?.spec?.ingressClassName;

  it('is one of the host’s that is shown inside', () => {
    expect(classOf(ingress({ defaultBackend: backend, ingressClassName: 'public' }))).toBe('public');
  });

  it('may be said by the old annotation', () => {
    const virtual = ingress({ defaultBackend: backend }, { 'kubernetes.io/ingress.class': 'public' });
    expect(classOf(virtual)).toBe('public');
    expect(ingresses.notices?.(virtual, translationContext())).toEqual([]);
  });

  it('may be one that the operator names where the host’s classes cannot be read', () => {
    const context = withOptions({ ingressClasses: ['public'] });
    expect(classOf(ingress({ defaultBackend: backend, ingressClassName: 'public' }), context)).toBe('public');
  });

  it('keeps an Ingress inside when a controller there serves it', () => {
    const context = withOptions({}, [own('inner')]);
    expect(
      ingresses.toHost(ingress({ defaultBackend: backend, ingressClassName: 'inner' }), context),
    ).toBeUndefined();
  });

  it.each([
    [
      'a class that nobody has',
      { ingressClassName: 'other' },
      ['*'],
      'spec.ingressClassName: there is no class other',
    ],
    [
      'a class that the operator did not name',
      { ingressClassName: 'other' },
      ['public'],
      'there is no class other',
    ],
    [
      'no class where the operator names some',
      {},
      ['public'],
      'spec.ingressClassName: must be one of public',
    ],
    ['no class where the operator names none', {}, [], 'Ingresses are not given to the host'],
  ])('refuses %s', (_, spec, ingressClasses, message) => {
    const context = withOptions({ ingressClasses });
    expect(() => ingresses.toHost(ingress({ defaultBackend: backend, ...spec }), context)).toThrow(message);
  });

  it('is looked at again when classes come and go', () => {
    const [observation] = ingresses.observes ?? [];
    expect(observation).toMatchObject({ side: 'virtual', type: INGRESS_CLASSES });
  });
});

describe('what one controller for many tenants must not be given', () => {
  it.each([
    [
      'a backend that is no Service',
      { defaultBackend: { resource: { kind: 'Bucket', name: 'b' } } },
      'spec.defaultBackend.resource',
    ],
    [
      'one in a rule',
      {
        rules: [
          { http: { paths: [{ pathType: 'Prefix', backend: { resource: { kind: 'Bucket', name: 'b' } } }] } },
        ],
      },
      'spec.rules[0].http.paths[0].backend.resource',
    ],
    [
      'a path that ends a block of configuration',
      { rules: [rule('a.example.com', '/ {}')] },
      'spec.rules[0].http.paths[0].path',
    ],
    [
      'a path of two lines',
      { rules: [rule('a.example.com', '/\nalias')] },
      'spec.rules[0].http.paths[0].path',
    ],
  ])('is %s (T5)', (_, spec, path) => {
    expect(() => ingresses.toHost(ingress(spec), translationContext())).toThrow(path);
  });

  it.each(['/', '/a/b-c_d.e~f%20', '/rest(/|$)(.*)', '/v[0-9]+/;x=1'])('may be the path %s', (path) => {
    expect(() =>
      ingresses.toHost(ingress({ rules: [rule('a.example.com', path)] }), translationContext()),
    ).not.toThrow();
  });
});

describe('hosts', () => {
  it.each([
    ['shop.example.com', ['shop.example.com']],
    ['a.preview.example.com', ['*.preview.example.com']],
    ['b.a.preview.example.com', ['other.example.com', '*.preview.example.com']],
    ['*.a.preview.example.com', ['*.preview.example.com']],
    ['anything.example.org', []],
    [undefined, []],
  ])('may be %s where the operator lists %j', (host, hosts) => {
    expect(() => ingresses.toHost(ingress({ rules: [rule(host)] }), forHosts(...hosts))).not.toThrow();
  });

  it.each([
    ['preview.example.com', /^spec\.rules\[0\]\.host: preview\.example\.com is none of/],
    ['evilpreview.example.com', /is none of/],
    ['*.example.com', /is none of/],
    [undefined, /^spec\.rules\[0\]\.host: must name hosts/],
  ])('must not be %s where the operator lists names below preview.example.com', (host, message) => {
    const context = forHosts('*.preview.example.com');
    expect(() => ingresses.toHost(ingress({ rules: [rule(host)] }), context)).toThrow(message);
  });

  it.each([
    ['a default backend, which is for every host', { defaultBackend: backend }, 'spec.defaultBackend'],
    [
      'certificates for others',
      { tls: [{ hosts: ['bank.example.com'] }] },
      'spec.tls[0].hosts: bank.example.com',
    ],
    ['certificates for every host', { tls: [{ secretName: 'x' }] }, 'spec.tls[0].hosts'],
  ])('leave no room for %s', (_, spec, message) => {
    expect(() => ingresses.toHost(ingress(spec), forHosts('*.preview.example.com'))).toThrow(message);
  });
});

describe('the life of an Ingress', () => {
  let syncer: SyncerHarness;
  afterEach(() => syncer?.stop());

  it('waits for its class and its certificate, and lets go of both copies with itself', async () => {
    syncer = await startSyncer();
    syncer.virtual.put<Ingress>(INGRESSES, {
      ...fullIngress({ namespace: 'default', name: 'shop' }),
      spec: {
        ingressClassName: 'public',
        rules: [rule('shop.example.com')],
        tls: [{ hosts: ['shop.example.com'], secretName: 'shop-tls' }],
      },
    });
    const certificate = () => syncer.host.get(SECRETS, hostKey('secrets', 'default/shop-tls'));
    const copy = () => syncer.host.get<Ingress>(INGRESSES, hostKey('ingresses', 'default/shop'));
    syncer.virtual.put(SECRETS, {
      metadata: { namespace: 'default', name: 'shop-tls' },
      type: 'kubernetes.io/tls',
    } as never);
    await vi.waitFor(() =>
      expect(syncer.virtual.list<Event>(EVENTS)).toContainEqual(
        expect.objectContaining({
          reason: 'SyncRefused',
          message: expect.stringContaining('there is no class public'),
        }),
      ),
    );
    expect(copy()).toBeUndefined();
    syncer.host.put<IngressClass>(INGRESS_CLASSES, {
      metadata: { name: 'public', annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
      spec: { controller: 'example.com/controller', parameters: { kind: 'Parameters', name: 'secret' } },
    });
    await vi.waitFor(() => expect(copy()?.spec?.ingressClassName).toBe('public'));
    expect(certificate()).toMatchObject({ type: 'kubernetes.io/tls' });
    expect(syncer.virtual.get<IngressClass>(INGRESS_CLASSES, 'public')).toMatchObject({
      metadata: { annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
      spec: { controller: 'example.com/controller' },
    });
    expect(syncer.virtual.get<IngressClass>(INGRESS_CLASSES, 'public')?.spec).not.toHaveProperty(
      'parameters',
    );
    syncer.virtual.remove(INGRESSES, 'default/shop');
    await vi.waitFor(() => expect([copy(), certificate()]).toEqual([undefined, undefined]));
  });

  it('is there before its Service, and follows the name that the Service gets on the host', async () => {
    syncer = await startSyncer();
    syncer.virtual.put<Ingress>(INGRESSES, {
      metadata: { namespace: 'default', name: 'shop' },
      spec: { defaultBackend: backend },
    });
    const target = () =>
      syncer.host.get<Ingress>(INGRESSES, hostKey('ingresses', 'default/shop'))?.spec?.defaultBackend?.service
        ?.name;
    await vi.waitFor(() =>
      expect(target()).toBe(hostName('vc', 'services', { namespace: 'default', name: 'web' })),
    );
    syncer.host.put(SERVICES, {
      metadata: {
        namespace: 'host-ns',
        name: 'reserved-name',
        labels: { 'mayfly.dev/cluster': 'vc' },
        annotations: { 'mayfly.dev/reserved-at': '2026-01-01T00:00:00Z' },
      },
      spec: { clusterIP: '10.96.7.7', clusterIPs: ['10.96.7.7'] },
    } as never);
    syncer.virtual.put(SERVICES, {
      metadata: { namespace: 'default', name: 'web' },
      spec: {
        clusterIP: '10.96.7.7',
        clusterIPs: ['10.96.7.7'],
        selector: { app: 'web' },
        ports: [{ port: 80 }],
      },
    } as never);
    await vi.waitFor(() => expect(target()).toBe('reserved-name'));
  });
});
