// Kinds that an administrator of the host keeps and everybody refers to by name: classes, drivers. All of them are shown inside
// under the names they have, and what is changed or deleted there is put back.
import type { KubeObject, ResourceType } from '../../kube/resource.ts';
import { createStore } from '../../kube/store.ts';
import { defined } from '../allow-list.ts';
import type { UpwardKind, UpwardView } from '../engine/upward.ts';
import type { Observation } from '../kind.ts';
import { copyOf } from '../stores.ts';

export interface HostClass<T extends KubeObject> {
  /** Cluster-scoped. */
  type: ResourceType;
  /** What is shown of it besides its name, by allow-list. */
  copy(host: T): Omit<T, keyof KubeObject>;
  /** Annotations that are shown too: that a class is the default one, for example. */
  annotations?: readonly string[];
  /** As in `UpwardKind`. */
  isOptional?: boolean;
  /** Default: all are shown. */
  isShown?(host: T, view: UpwardView): boolean;
  /** What `isShown` depends on. */
  observes?: readonly Observation[];
}

export function hostClass<T extends KubeObject>(of: HostClass<T>): UpwardKind<T> {
  const { type, annotations = [], observes = [] } = of;
  const nameOf = ({ metadata }: KubeObject) => [metadata.name ?? ''];
  return {
    type,
    isOptional: of.isOptional,
    isReplaced: true,
    createStore: () => createStore<T>(),
    lingerMs: 0,
    observes: [{ side: 'host', type, keys: nameOf }, { side: 'virtual', type, keys: nameOf }, ...observes],
    source(name, view) {
      const host = copyOf<T>(view.pairs, type).host.get(name);
      return host && (of.isShown?.(host, view) ?? true) ? host : undefined;
    },
    toVirtual: (host, virtual) =>
      defined({
        apiVersion: virtual?.apiVersion,
        kind: virtual?.kind,
        ...of.copy(host),
        metadata: {
          ...virtual?.metadata,
          name: host.metadata.name,
          annotations: replaceKeys(virtual?.metadata.annotations, host.metadata.annotations, annotations),
        },
      } as T),
  };
}

/** `own` with those of `keys` as `other` has them, or without them. */
function replaceKeys(
  own: Readonly<Record<string, string>> = {},
  other: Readonly<Record<string, string>> = {},
  keys: readonly string[],
): Record<string, string> {
  const listed = (key: string) => keys.includes(key);
  return Object.fromEntries([
    ...Object.entries(own).filter(([key]) => !listed(key)),
    ...Object.entries(other).filter(([key]) => listed(key)),
  ]);
}
