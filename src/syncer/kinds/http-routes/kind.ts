// The synced kind HTTPRoute, by option: attached to the Gateways of the host that the operator names, with the host's names of its
// Services. What it says of Gateways made inside stays inside.
import { HTTP_ROUTES, SERVICES } from '../../../kube/resource.ts';
import { defined } from '../../allow-list.ts';
import { requireHost } from '../../host-patterns.ts';
import { createTeller } from '../../host-text.ts';
import {
  mergeMetadata,
  type Reference,
  RefusedError,
  type SyncedKind,
  type TranslationContext,
} from '../../kind.ts';
import {
  type BackendRef,
  condition,
  type HttpRoute,
  type ParentRef,
  plainBackend,
  plainFilter,
  plainRule,
  type RouteFilter,
  type RouteParentStatus,
  type RouteRule,
} from './route.ts';

const GATEWAY_GROUP = 'gateway.networking.k8s.io';
const FILTERS = new Set([
  'RequestHeaderModifier',
  'ResponseHeaderModifier',
  'RequestRedirect',
  'URLRewrite',
  'RequestMirror',
]);

export const httpRoutes: SyncedKind<HttpRoute> = {
  type: HTTP_ROUTES,
  when: 'always',
  isOptional: true,
  isWanted: ({ httpRoutes: { gateways } }) => gateways.length > 0,
  toHost({ metadata, spec }, context) {
    const parents = (spec?.parentRefs ?? []).filter((parent) =>
      isOfHost(parent, metadata.namespace, context),
    );
    if (!spec || parents.length === 0) return undefined;
    requireHosts(spec.hostnames ?? [], context);
    const translate = createTranslator(metadata.namespace, context);
    return {
      metadata: {},
      spec: defined({
        parentRefs: parents.map(({ group, kind, namespace, name, sectionName, port }) =>
          defined({ group, kind, namespace: namespace ?? metadata.namespace, name, sectionName, port }),
        ),
        hostnames: spec.hostnames && [...spec.hostnames],
        rules: spec.rules?.map((rule, index) => translate(rule, `spec.rules[${index}]`)),
      }),
    };
  },
  merge: (host, { metadata, spec }) => ({ ...host, metadata: mergeMetadata(host.metadata, metadata), spec }),
  toVirtual: withHostStatus,
  references: ({ metadata: { namespace }, spec }) => {
    const names = (spec?.rules ?? []).flatMap(backendsOf).map(({ name }) => name);
    return [...new Set(names)].map(
      (name): Reference => ({ type: SERVICES, namespace, name, isAwaited: false }),
    );
  },
};

function isOfHost(
  { group = GATEWAY_GROUP, kind = 'Gateway', namespace, name }: ParentRef,
  own: string | undefined,
  { sync }: TranslationContext,
): boolean {
  const gateway = `${namespace ?? own}/${name}`;
  return group === GATEWAY_GROUP && kind === 'Gateway' && sync.httpRoutes.gateways.includes(gateway);
}

function requireHosts(hostnames: readonly string[], { sync }: TranslationContext): void {
  const { hosts } = sync.httpRoutes;
  if (hosts.length === 0) return;
  if (hostnames.length === 0) requireHost('spec.hostnames', undefined, hosts);
  for (const hostname of hostnames) requireHost('spec.hostnames', hostname, hosts);
}

function backendsOf({ backendRefs = [], filters = [] }: RouteRule): BackendRef[] {
  const mirrors = (of: readonly RouteFilter[]) =>
    of.flatMap(({ requestMirror }) => requestMirror?.backendRef ?? []);
  return [
    ...backendRefs,
    ...backendRefs.flatMap(({ filters: own = [] }) => mirrors(own)),
    ...mirrors(filters),
  ];
}

function createTranslator(namespace: string | undefined, { hostName }: TranslationContext) {
  const backend = (ref: BackendRef, at: string): BackendRef => {
    const { group = '', kind = 'Service', name, filters } = ref;
    if (group !== '' || kind !== 'Service') {
      throw new RefusedError('UnsupportedField', `${at}.kind: only Services are backends on the host`);
    }
    // Inside, a ReferenceGrant would have to allow it; on the host all namespaces are one.
    if (ref.namespace && ref.namespace !== namespace) {
      throw new RefusedError('UnsupportedField', `${at}.namespace: must be the namespace of the route`);
    }
    return defined({
      ...plainBackend(ref),
      name: hostName(SERVICES, { namespace, name }),
      filters: filters?.map((item, index) => filter(item, `${at}.filters[${index}]`)),
    });
  };
  const filter = (item: RouteFilter, at: string): RouteFilter => {
    if (!FILTERS.has(item.type)) {
      throw new RefusedError('UnsupportedField', `${at}.type: ${item.type} is not given to the host`);
    }
    const mirror = item.requestMirror && {
      backendRef: backend(item.requestMirror.backendRef, `${at}.requestMirror.backendRef`),
    };
    return defined({ ...plainFilter(item), requestMirror: mirror });
  };
  return (rule: RouteRule, at: string): RouteRule =>
    defined({
      ...plainRule(rule),
      filters: rule.filters?.map((item, index) => filter(item, `${at}.filters[${index}]`)),
      backendRefs: rule.backendRefs?.map((ref, index) => backend(ref, `${at}.backendRefs[${index}]`)),
    });
}

/** What the host's controllers say of its Gateways, beside what controllers inside say of theirs. */
function withHostStatus(host: HttpRoute, virtual: HttpRoute, context: TranslationContext): HttpRoute {
  const { namespace, generation } = virtual.metadata;
  const tell = createTeller(host, virtual, () => httpRoutes.references?.(virtual) ?? [], context);
  const isCurrent = (observed: number | undefined) => observed === host.metadata.generation;
  const ofHost = (virtual.spec?.parentRefs ?? []).flatMap((parentRef): RouteParentStatus[] => {
    const said =
      host.status?.parents.filter((parent) => isSameParent(parent.parentRef, parentRef, namespace)) ?? [];
    return said.map(({ controllerName, conditions = [] }) => ({
      parentRef,
      controllerName,
      conditions: conditions.map((item) =>
        defined({
          ...condition(item),
          message: tell(item.message),
          observedGeneration: isCurrent(item.observedGeneration) ? generation : undefined,
        }),
      ),
    }));
  });
  const ofInside = (virtual.status?.parents ?? []).filter(
    ({ parentRef }) => !isOfHost(parentRef, namespace, context),
  );
  const parents = [...ofInside, ...ofHost];
  return parents.length > 0 || virtual.status
    ? { ...virtual, status: { ...virtual.status, parents } }
    : virtual;
}

function isSameParent(one: ParentRef, other: ParentRef, own: string | undefined): boolean {
  return (
    one.name === other.name &&
    (one.namespace ?? own) === (other.namespace ?? own) &&
    one.sectionName === other.sectionName &&
    one.port === other.port
  );
}
