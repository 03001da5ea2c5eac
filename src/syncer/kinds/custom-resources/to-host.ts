// Custom resources that an operator vouches for: the one place where a whole `spec` reaches the host. What it says by name and
// by selector is rewritten where the operator says that it is said.
import {
  CONFIG_MAPS,
  type KubeObject,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  type ResourceType,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from '../../../kube/resource.ts';
import { defined } from '../../allow-list.ts';
import { createTeller } from '../../host-text.ts';
import {
  type CustomResource,
  type CustomResourceToHost,
  mergeMetadata,
  type Reference,
  RefusedError,
  type SyncedKind,
  type TranslationContext,
} from '../../kind.ts';
import { ANNOTATION_SPEC_HASH, placeLabels } from '../../names.ts';
import type { LabelSelector } from '../../objects.ts';
import { hostLabels, hostSelector } from '../../selectors.ts';
import { hashOf } from '../../spec-hash.ts';
import { covers, isFields, parentOf, retold, rewriteAt } from './fields.ts';

export interface Custom extends KubeObject {
  spec?: unknown;
  status?: unknown;
}

const REFERABLE: Readonly<Record<string, ResourceType>> = Object.fromEntries(
  [CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, PODS, SECRETS, SERVICE_ACCOUNTS, SERVICES].map((type) => [
    type.kind,
    type,
  ]),
);
/** What always gets a copy as soon as it is referred to: it is there before what refers to it. */
const AWAITED = new Set([CONFIG_MAPS.kind, SECRETS.kind, PERSISTENT_VOLUME_CLAIMS.kind]);

export function typeOf({ group, version, plural, kind }: CustomResource, namespaced: boolean): ResourceType {
  return { group, version, plural, kind, namespaced };
}

/** @param all the custom resources that are synced, which may refer to each other. */
export function customResourceToHost(
  resource: CustomResourceToHost,
  all: readonly CustomResource[],
): SyncedKind<Custom> {
  const referred = resource.references.map(({ path, kind }) => ({ path, type: referredType(kind, all) }));

  function specOnHost({ metadata, spec }: Custom, context: TranslationContext): unknown {
    const named = referred.reduce(
      (whole, { path, type }) =>
        rewriteNames(whole, path, (name, namespace = metadata.namespace) =>
          context.hostName(type, { namespace, name }),
        )(context.hostNamespace),
      spec,
    );
    return resource.selectors.reduce(
      (whole, path) =>
        rewriteAt(whole, path, (selector, at) => selectorOnHost(selector, at, metadata.namespace, context)),
      named,
    );
  }

  function references({ metadata, spec }: Custom): Reference[] {
    const found = new Map<string, Reference>();
    for (const { path, type } of referred)
      try {
        rewriteNames(spec, path, (name, namespace = metadata.namespace) => {
          const isAwaited = AWAITED.has(type.kind);
          found.set(`${type.kind}/${namespace}/${name}`, { type, namespace, name, isAwaited });
          return name;
        })(undefined);
      } catch (error) {
        // What cannot be read is refused by the translation.
        if (!(error instanceof RefusedError)) throw error;
      }
    return [...found.values()];
  }

  function toVirtual(host: Custom, virtual: Custom, context: TranslationContext): Custom {
    if (host.status === undefined) return virtual;
    const tell = createTeller(host, virtual, () => references(virtual), context);
    const isWritten =
      host.metadata.annotations?.[ANNOTATION_SPEC_HASH] === hashOf(specOnHost(virtual, context));
    return { ...virtual, status: statusInside(host, virtual, tell, isWritten) };
  }

  return {
    type: typeOf(resource, true),
    isOptional: true,
    when: 'always',
    toHost(virtual, context) {
      const spec = specOnHost(virtual, context);
      return defined({ metadata: { annotations: { [ANNOTATION_SPEC_HASH]: hashOf(spec) } }, spec });
    },
    merge: (host, desired) => ({
      ...host,
      metadata: mergeMetadata(host.metadata, desired.metadata),
      spec: isSaid(host, desired) ? host.spec : desired.spec,
    }),
    references,
    ...(resource.statusBack && { toVirtual }),
  };
}

/** Generations count for each side by itself: one that was seen on the host is the one inside when nothing is left to write. */
export function statusInside(
  host: Custom,
  virtual: Custom | undefined,
  tell: (text: string) => string,
  isWritten: boolean,
): unknown {
  const generation = virtual?.metadata.generation ?? 1;
  return retold(host.status, tell, 'observedGeneration', (seen) =>
    isWritten && seen === host.metadata.generation ? generation : generation - 1,
  );
}

function referredType(kind: string, all: readonly CustomResource[]): ResourceType {
  const custom = all.find((other) => other.direction === 'toHost' && other.kind === kind);
  const type = REFERABLE[kind] ?? (custom && typeOf(custom, true));
  if (!type) throw new RangeError(`no kind ${kind} is copied to the host`);
  return type;
}

/**
 * What is at `path` is a name, of an object in the same namespace. Where the path ends with `.name`, a `namespace` beside it says
 * another one; on the host all are in one.
 */
function rewriteNames(spec: unknown, path: string, rename: (name: string, namespace?: string) => string) {
  const parent = parentOf(path, 'name');
  return (hostNamespace: string | undefined): unknown =>
    parent === undefined
      ? rewriteAt(spec, path, (value, at) => (isUnset(value) ? value : rename(nameAt(value, at))))
      : rewriteAt(spec, parent, (value, at) => {
          if (isUnset(value)) return value;
          if (!isFields(value)) throw new RefusedError('UnexpectedValue', `${at}: is no object`);
          const { name, namespace } = value;
          if (isUnset(name)) return value;
          if (isUnset(namespace)) return { ...value, name: rename(nameAt(name, `${at}.name`)) };
          const inside = nameAt(namespace, `${at}.namespace`);
          return { ...value, name: rename(nameAt(name, `${at}.name`), inside), namespace: hostNamespace };
        });
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}

function nameAt(value: unknown, at: string): string {
  if (typeof value === 'string') return value;
  throw new RefusedError('UnexpectedValue', `${at}: is no name`);
}

/** A LabelSelector, or a plain map of labels. One that is left out could mean every pod of the host namespace. */
function selectorOnHost(
  selector: unknown,
  at: string,
  namespace: string | undefined,
  { cluster }: TranslationContext,
): unknown {
  if (selector === undefined || selector === null)
    throw new RefusedError('SelectorRequired', `${at}: must say which pods it selects`);
  if (!isFields(selector)) throw new RefusedError('UnexpectedValue', `${at}: is no selector`);
  const isLabelSelector = Object.keys(selector).every(
    (key) => key === 'matchLabels' || key === 'matchExpressions',
  );
  if (isLabelSelector)
    return hostSelector(selector as LabelSelector, cluster, namespace ? [namespace] : undefined);
  if (Object.values(selector).every((value) => typeof value === 'string'))
    return { ...hostLabels(selector as Record<string, string>), ...placeLabels(cluster, namespace) };
  throw new RefusedError('UnexpectedValue', `${at}: is no selector`);
}

/** The host may add to what we wrote, by defaults and by its controllers; only what we say differently now is written anew. */
function isSaid(host: Custom, desired: Custom): boolean {
  const hash = ({ metadata }: Custom) => metadata.annotations?.[ANNOTATION_SPEC_HASH];
  return hash(host) === hash(desired) && covers(host.spec, desired.spec);
}
