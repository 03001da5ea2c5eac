// What a synced kind is: pure functions and a few facts. The engine does everything else, once for all kinds.
// Nothing here or in kinds/ does I/O, reads a clock, logs, or changes its input.
import type {
  KubeObject,
  ObjectKey,
  ObjectMeta,
  ObjectName,
  OwnerReference,
  ResourceType,
} from '../kube/resource.ts';
import type { ReadStore } from '../kube/store.ts';
import { MayflyError } from '../lib/errors.ts';
import {
  ANNOTATION_NAME,
  ANNOTATION_NAMESPACE,
  ANNOTATION_STORE,
  ANNOTATION_UID,
  isOwnKey,
  placeLabels,
} from './names.ts';
import type { Node, Service } from './objects.ts';

/** How much a tenant may ask of the host; each profile is Pod Security's standard of that name, `none` asks nothing. */
export type IsolationProfile = 'baseline' | 'restricted' | 'none';

/** Which nodes of the host are shown inside: those that run pods of this cluster; all; or those with these labels. */
export type NodeSelection =
  | { mode: 'used' | 'all' }
  | { mode: 'selector'; labels: Readonly<Record<string, string>> };

/** What never changes while a syncer runs. */
export interface ClusterFacts {
  /** The virtual cluster's name: its Helm release. */
  cluster: string;
  hostNamespace: string;
  /** The chart's anchor, which owns every host object of this cluster. */
  owner: OwnerReference;
  profile: IsolationProfile;
  /** Where the virtual API answers inside: `default/kubernetes`. */
  api: { clusterIp: string; port: number };
  dns: { clusterIp: string; domain: string };
  /** The host ServiceAccount of all workloads; it has no rights. */
  workloadServiceAccount: string;
  nodes: NodeSelection;
}

/** All that a translator may know besides its input: facts, and look-ups in the local stores. */
export interface TranslationContext extends ClusterFacts {
  /** The uid of the virtual `kube-system`. */
  storeUid: string;
  /** The host name of a virtual object: that of its host copy if there is one, else the name it is going to have. */
  hostName(type: ResourceType, name: ObjectName): string;
  services(namespace: string): readonly Service[];
  service(name: ObjectName): Service | undefined;
  /** Names of the virtual namespaces whose labels match. */
  namespacesWith(matches: (labels: Readonly<Record<string, string>>) => boolean): readonly string[];
  /** The Nodes inside that have labels, taints or a cordon of the tenant's own. */
  markedNodes(): readonly Node[];
  /** The keys of the data of a virtual config map or secret; none when it does not exist. */
  dataKeys(reference: Reference): readonly string[];
  /** Addresses that hand-made endpoints must not have: the host's nodes, its API and this cluster's Services. */
  isHostAddress(address: string): boolean;
}

/** Another virtual object that an object needs on the host. */
export interface Reference extends ObjectName {
  type: ResourceType;
}

/** Something a translator leaves out on purpose, and the user should know: a Warning event on the virtual object. */
export interface Notice {
  reason: string;
  message: string;
}

/** An object that must not reach the host as it is. The message begins with the path of the offending field. */
export class RefusedError extends MayflyError {
  constructor(code: string, message: string) {
    super({ code, message });
  }
}

/** What has to happen before, or instead of, keeping both sides equal. */
export type Step<T> =
  /** Nothing until something changes. */
  | { do: 'wait' }
  | { do: 'delete-host'; gracePeriodSeconds?: number }
  /** `confirm`: the host API is asked once more whether the host object is really gone. */
  | { do: 'delete-virtual'; gracePeriodSeconds?: number; confirm?: boolean }
  /** The host has placed the pod: its Node is made to exist inside, then the virtual pod is bound to it. */
  | { do: 'bind'; node: string }
  /** A write that the host API takes through a sub-resource only. */
  | { do: 'write-host'; subresource: string; object: T };

/** What else to look at again when an object changes. */
export interface Observation {
  side: Side;
  type: ResourceType;
  /** Keys of the objects that the changed one concerns. */
  keys(changed: KubeObject): readonly ObjectKey[];
}

export type Side = 'virtual' | 'host';

export type Indexers<T> = Readonly<Record<string, (object: T) => readonly string[]>>;

export interface SyncedKind<T extends KubeObject> {
  readonly type: ResourceType;
  /** By what else the local copies are looked up; the names are in `INDEX` (stores.ts). */
  readonly indexers?: { virtual?: Indexers<T>; host?: Indexers<T> };
  /** `referenced`: the host has a copy exactly while a synced object refers to it. */
  readonly when: 'always' | 'referenced';
  /**
   * The host object without name and marks (the engine adds them: `onHost`), built from listed fields only.
   * Undefined: this object has no copy on the host.
   * @throws RefusedError when the object must not reach the host.
   */
  toHost(virtual: T, context: TranslationContext): T | undefined;
  /** `host` with everything of `desired` that we own and that may change; fields of the host's own are kept. */
  merge(host: T, desired: T): T;
  /** `virtual` with what flows back: status, assigned fields. */
  toVirtual?(host: T, virtual: T, context: TranslationContext): T;
  /** `host` with the part of its status that the virtual side decides. */
  toHostStatus?(host: T, virtual: T): T;
  references?(virtual: T): readonly Reference[];
  /** Decides over lives: of what binds, ends or goes away by itself. Runs before both sides are compared. */
  step?(virtual: T, host: T | undefined): Step<T> | undefined;
  /**
   * A host object made for this virtual object before it existed; `not-seen` when there should be one, which may not have
   * arrived in the local copy yet.
   */
  findReserved?(virtual: T, hosts: ReadStore<T>): T | 'not-seen' | undefined;
  /** Changes of other objects that concern objects of this kind; its own of both sides and its references are a matter of course. */
  readonly observes?: readonly Observation[];
  notices?(virtual: T, context: TranslationContext): readonly Notice[];
}

/** Marks a translated object as the copy of `virtual`: name, place, owner and the annotations that say whose it is. */
export function onHost<T extends KubeObject>(
  type: ResourceType,
  body: T,
  virtual: KubeObject,
  context: TranslationContext,
): T {
  const { namespace, name = '', uid = '' } = virtual.metadata;
  const metadata: ObjectMeta = {
    name: context.hostName(type, { namespace, name }),
    namespace: context.hostNamespace,
    labels: { ...body.metadata.labels, ...placeLabels(context.cluster, namespace) },
    annotations: {
      ...body.metadata.annotations,
      [ANNOTATION_NAME]: name,
      ...(namespace ? { [ANNOTATION_NAMESPACE]: namespace } : {}),
      [ANNOTATION_UID]: uid,
      [ANNOTATION_STORE]: context.storeUid,
    },
    ownerReferences: [context.owner],
  };
  return { ...body, metadata };
}

/** The host's metadata with our labels and annotations as desired; keys that are not ours belong to the host. */
export function mergeMetadata(host: ObjectMeta, desired: ObjectMeta): ObjectMeta {
  return {
    ...host,
    labels: mergeOwnKeys(host.labels, desired.labels),
    annotations: mergeOwnKeys(host.annotations, desired.annotations),
    ownerReferences: desired.ownerReferences,
  };
}

function mergeOwnKeys(
  host: Record<string, string> = {},
  desired: Record<string, string> = {},
): Record<string, string> {
  return { ...Object.fromEntries(Object.entries(host).filter(([key]) => !isOwnKey(key))), ...desired };
}
