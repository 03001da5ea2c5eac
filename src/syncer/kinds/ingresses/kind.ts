// The synced kind Ingress: served by a controller of the host, with the host's names of its Services and certificates.
import { INGRESS_CLASSES, INGRESSES, keyOf, SECRETS, SERVICES } from '../../../kube/resource.ts';
import type { ReadStore } from '../../../kube/store.ts';
import { defined, fields, list, scalar } from '../../allow-list.ts';
import type { Notice, Reference, SyncedKind, TranslationContext } from '../../kind.ts';
import type { Ingress, IngressSpec } from '../../objects.ts';
import { mergePassed, passedAnnotations } from '../../passed-annotations.ts';
import { CLASS_ANNOTATION, classNameOf, servedBy } from './class.ts';
import { requireFitForHost } from './validation.ts';

type Backend = NonNullable<IngressSpec['defaultBackend']>;
type BackendService = NonNullable<Backend['service']>;
type Rule = NonNullable<IngressSpec['rules']>[number];
type Tls = NonNullable<IngressSpec['tls']>[number];
type LoadBalancer = NonNullable<NonNullable<Ingress['status']>['loadBalancer']>;

const servicePort = fields<NonNullable<BackendService['port']>>({ name: scalar, number: scalar });
const loadBalancer = fields<LoadBalancer>({
  ingress: list(
    fields<NonNullable<LoadBalancer['ingress']>[number]>({
      ip: scalar,
      hostname: scalar,
      ports: list(fields({ error: scalar, port: scalar, protocol: scalar })),
    }),
  ),
});

export const ingresses: SyncedKind<Ingress> = {
  type: INGRESSES,
  when: 'always',
  toHost(virtual, context) {
    const { metadata, spec } = virtual;
    if (!spec) return undefined;
    const served = servedBy(virtual, context);
    if (served.side === 'inside') return undefined;
    requireFitForHost(spec, context.sync.ingresses);
    const ofNamespace = namesOf(metadata.namespace, context);
    return {
      metadata: { annotations: passedAnnotations(metadata, allowedAnnotations(context)) },
      spec: defined({
        ingressClassName: served.className,
        defaultBackend: spec.defaultBackend && ofNamespace.backend(spec.defaultBackend),
        rules: spec.rules?.map((rule) => ofNamespace.rule(rule)),
        tls: spec.tls?.map((tls) => ofNamespace.tls(tls)),
      }),
    };
  },
  // The host's admission may have put its default class in.
  merge: (host, { metadata, spec }) => ({
    ...host,
    metadata: mergePassed(host.metadata, metadata),
    spec: defined({ ...spec, ingressClassName: spec?.ingressClassName ?? host.spec?.ingressClassName }),
  }),
  toVirtual: (host, virtual) => ({
    ...virtual,
    status: { ...virtual.status, loadBalancer: loadBalancer(host.status?.loadBalancer ?? {}) },
  }),
  references: ({ metadata: { namespace }, spec }) => [
    ...new Map(
      [...backendsOf(spec), ...certificatesOf(spec)].map((one) => [
        keyOfReference(one),
        { ...one, namespace },
      ]),
    ).values(),
  ],
  observes: [
    {
      side: 'virtual',
      type: INGRESS_CLASSES,
      keys: ({ metadata }, own) =>
        (own as ReadStore<Ingress>)
          .list()
          .filter((ingress) => classNameOf(ingress) === metadata.name)
          .map(keyOf),
    },
  ],
  notices: leftOut,
};

/** Names of what a namespace has, as the host knows it. */
function namesOf(namespace: string | undefined, { hostName }: TranslationContext) {
  const backend = ({ service }: Backend): Backend =>
    defined({
      service: service && {
        name: hostName(SERVICES, { namespace, name: service.name }),
        ...defined({ port: service.port && servicePort(service.port) }),
      },
    });
  return {
    backend,
    rule: ({ host, http }: Rule): Rule =>
      defined({
        host,
        http: http && {
          paths: http.paths.map(({ path, pathType, backend: target }) =>
            defined({ path, pathType, backend: backend(target) }),
          ),
        },
      }),
    tls: ({ hosts, secretName }: Tls): Tls =>
      defined({
        hosts: hosts && [...hosts],
        secretName: secretName ? hostName(SECRETS, { namespace, name: secretName }) : undefined,
      }),
  };
}

function backendsOf(spec: IngressSpec | undefined): Reference[] {
  const backends = [
    spec?.defaultBackend,
    ...(spec?.rules ?? []).flatMap(({ http }) => http?.paths.map(({ backend }) => backend) ?? []),
  ];
  // One without a copy, an ExternalName for example, keeps the others from nothing.
  return backends.flatMap((backend) =>
    backend?.service ? [{ type: SERVICES, name: backend.service.name, isAwaited: false }] : [],
  );
}

function certificatesOf(spec: IngressSpec | undefined): Reference[] {
  return (spec?.tls ?? []).flatMap(({ secretName }) =>
    secretName ? [{ type: SECRETS, name: secretName }] : [],
  );
}

function keyOfReference({ type, name }: Reference): string {
  return `${type.plural}|${name}`;
}

/** The class is said in its field. */
function allowedAnnotations({ sync }: TranslationContext): string[] {
  return sync.ingresses.annotations.filter((key) => key !== CLASS_ANNOTATION);
}

/** Of tools that only read back what they wrote. */
const OF_CLIENTS = /^(kubectl\.kubernetes\.io|meta\.helm\.sh)\//;

function leftOut({ metadata }: Ingress, context: TranslationContext): Notice[] {
  const allowed = allowedAnnotations(context);
  const dropped = Object.keys(metadata.annotations ?? {})
    .filter((key) => key !== CLASS_ANNOTATION && !allowed.includes(key) && !OF_CLIENTS.test(key))
    .sort();
  if (dropped.length === 0) return [];
  const message = `metadata.annotations: not given to Ingresses on the host: ${dropped.join(', ')}`;
  return [{ reason: 'AnnotationDropped', message }];
}
