import { describe, expect, it } from 'vitest';
import { fullHttpRoute } from '../../../../test/support/policy-samples.ts';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { SERVICES } from '../../../kube/resource.ts';
import { hostName } from '../../names.ts';
import { httpRoutes } from './kind.ts';
import type { HttpRoute, RouteRule } from './route.ts';

const metadata = { namespace: 'team', name: 'shop' };
const { sync } = translationContext();
const withOptions = (gateways: string[], hosts: string[] = []) =>
  translationContext({}, { sync: { ...sync, httpRoutes: { gateways, hosts } } });
const context = withOptions(['infra/public']);
const named = (name: string) => hostName('vc', SERVICES.plural, { namespace: 'team', name });
const onHost = (route: HttpRoute, on = context) => httpRoutes.toHost(route, on)?.spec;
const withRule = (rule: RouteRule): HttpRoute => ({
  metadata,
  spec: { parentRefs: [{ namespace: 'infra', name: 'public' }], rules: [rule] },
});

describe('an HTTPRoute on the host', () => {
  it('hangs on the Gateways that the operator names, with the host’s names of its Services (T8)', () => {
    const spec = onHost(fullHttpRoute(metadata));
    expect(spec?.parentRefs).toEqual([{ namespace: 'infra', name: 'public', sectionName: 'https' }]);
    expect(spec?.rules?.[0]).toEqual({
      ...fullHttpRoute(metadata).spec?.rules?.[0],
      filters: [
        { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'a', value: 'b' }] } },
        { type: 'RequestMirror', requestMirror: { backendRef: { name: named('shadow'), port: 80 } } },
      ],
      backendRefs: [{ group: '', kind: 'Service', name: named('web'), port: 80, weight: 1 }],
    });
    expect(spec?.rules?.[1]).toEqual(fullHttpRoute(metadata).spec?.rules?.[1]);
    expect(httpRoutes.references?.(fullHttpRoute(metadata)).map(({ name }) => name)).toEqual([
      'web',
      'shadow',
    ]);
  });

  it.each([
    ['a Gateway that is not named', { namespace: 'infra', name: 'private' }],
    ['one of the name in the namespace of the route', { name: 'public' }],
    ['a Service of a mesh', { group: '', kind: 'Service', namespace: 'infra', name: 'public' }],
  ])('does not exist for %s', (_, parent) => {
    expect(onHost({ metadata, spec: { parentRefs: [parent] } })).toBeUndefined();
  });

  it('is wanted only where the operator names Gateways', () => {
    expect(httpRoutes.isWanted?.(context.sync)).toBe(true);
    expect(httpRoutes.isWanted?.(withOptions([]).sync)).toBe(false);
  });

  it.each([
    [
      'a backend of another namespace',
      { backendRefs: [{ name: 'web', namespace: 'shop' }] },
      'backendRefs[0].namespace',
    ],
    [
      'a backend that is no Service',
      { backendRefs: [{ name: 'web', group: 'x.io', kind: 'Bucket' }] },
      'backendRefs[0].kind',
    ],
    [
      'an extension of the controller (T5)',
      { filters: [{ type: 'ExtensionRef' }] },
      'filters[0].type: ExtensionRef',
    ],
    [
      'a mirror to another namespace',
      {
        filters: [{ type: 'RequestMirror', requestMirror: { backendRef: { name: 'x', namespace: 'shop' } } }],
      },
      'filters[0].requestMirror.backendRef.namespace',
    ],
  ])('is refused for %s', (_, rule, message) => {
    expect(() => onHost(withRule(rule))).toThrow(`spec.rules[0].${message}`);
  });

  it('is for hosts that the operator lists', () => {
    const limited = withOptions(['infra/public'], ['*.preview.example.com']);
    const route = (hostnames?: string[]): HttpRoute => ({
      metadata,
      spec: { parentRefs: [{ namespace: 'infra', name: 'public' }], hostnames },
    });
    expect(onHost(route(['a.preview.example.com']), limited)).toBeDefined();
    expect(() => onHost(route(['bank.example.com']), limited)).toThrow(
      'spec.hostnames: bank.example.com is none',
    );
    expect(() => onHost(route(), limited)).toThrow('spec.hostnames: must name hosts');
  });
});

describe('the status of an HTTPRoute', () => {
  const said = (parentRef: { namespace?: string; name: string; sectionName?: string }, message: string) => ({
    parentRef,
    controllerName: 'example.com/controller',
    conditions: [
      {
        type: 'ResolvedRefs',
        status: 'False',
        reason: 'BackendNotFound',
        message,
        lastTransitionTime: '2026-01-01T00:00:00Z',
        observedGeneration: 8,
      },
    ],
  });

  it('says what the host’s controllers say of the operator’s Gateways, in names from inside (T16)', () => {
    const virtual = { ...fullHttpRoute(metadata), status: { parents: [said({ name: 'inner' }, 'fine')] } };
    const host: HttpRoute = {
      metadata: { namespace: 'host-ns', name: 'copy', generation: 8 },
      status: {
        parents: [
          said(
            { namespace: 'infra', name: 'public', sectionName: 'https' },
            `${named('web')} in host-ns is missing`,
          ),
          said({ namespace: 'other', name: 'public' }, 'not ours'),
        ],
      },
    };
    const told = httpRoutes.toVirtual?.(host, virtual, context).status?.parents;
    expect(told).toHaveLength(2);
    expect(told?.[0]).toEqual(said({ name: 'inner' }, 'fine'));
    expect(told?.[1]?.parentRef).toEqual({ namespace: 'infra', name: 'public', sectionName: 'https' });
    expect(told?.[1]?.conditions?.[0]).toMatchObject({
      message: 'web in team is missing',
      observedGeneration: 3,
    });
  });

  it('is none as long as nobody said anything', () => {
    expect(httpRoutes.toVirtual?.({ metadata: {} }, fullHttpRoute(metadata), context)).not.toHaveProperty(
      'status',
    );
  });
});
