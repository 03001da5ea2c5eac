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
import type { IngressClass, NetworkPolicy, Node, Service } from './objects.ts';

/** How much a tenant may ask of the host; each profile is Pod Security's standard of that name, `none` asks nothing. */
export type IsolationProfile = 'baseline' | 'restricted' | 'none';

/** Which nodes of the host are shown inside: those that run pods of this cluster; all; or those with the labels of `selector`. */
export interface NodeSelection {
  mode: 'used' | 'all' | 'selector';
  selector: Readonly<Record<string, string>>;
}

/** What stands around the network of the workloads, whatever policies they have inside. */
export interface NetworkFacts {
  /** Whether the chart's own policies are there; without them, tenants' policies are all there is. */
  isolated: boolean;
  /** Ranges that no workload may reach. */
  deniedCidrs: readonly string[];
  /** Addresses of the control plane's pod. */
  controlPlaneAddresses: readonly string[];
}

/** What the operator lets through besides what always passes; the chart's values `sync`. */
export interface SyncOptions {
  ingresses: {
    /** Keys of annotations that reach the host. */
    annotations: readonly string[];
    /** What Ingresses may be for: `shop.example.com`, `*.example.com`; empty: everything. */
    hosts: readonly string[];
  };
  httpRoutes: {
    /** Gateways of the host that routes may be attached to, `namespace/name`; none: no route reaches the host. */
    gateways: readonly string[];
    /** As of Ingresses. */
    hosts: readonly string[];
  };
  nodes: NodeSelection;
  /** Names of classes of the host that are shown and may be used inside, `*` for all. */
  ingressClasses: readonly string[];
  runtimeClasses: readonly string[];
  priorityClasses: readonly string[];
  serviceAccounts: { enabled: boolean; annotations: readonly string[] };
  /** Which reach the host: those that a synced object refers to, or all of them. */
  configMaps: 'referenced' | 'all';
  secrets: 'referenced' | 'all';
  /** Objects of the host that are shown inside. */
  fromHost: { configMaps: readonly Mapping[]; secrets: readonly Mapping[] };
  customResources: readonly CustomResource[];
}

/** One object of the host and what it is inside. */
export interface Mapping {
  from: Required<ObjectName>;
  to: Required<ObjectName>;
}

interface CustomResourceType {
  group: string;
  version: string;
  plural: string;
  kind: string;
  statusBack: boolean;
}

/** A kind that the operator vouches for: its whole `spec` reaches the host. */
export interface CustomResourceToHost extends CustomResourceType {
  direction: 'toHost';
  /** Fields with the name of another object: `spec.rules[*].secretName`. */
  references: readonly { path: string; kind: string }[];
  /** Fields with a selector of pods. */
  selectors: readonly string[];
}

export interface CustomResourceFromHost extends CustomResourceType {
  direction: 'fromHost';
  /** Absent: the kind is cluster-scoped. */
  namespace?: { from: string; to: string };
}

export type CustomResource = CustomResourceToHost | CustomResourceFromHost;

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
  network: NetworkFacts;
  sync: SyncOptions;
  /** The image, with a shell, that writes /etc/hosts of pods with a subdomain. Absent: those have their short name only. */
  hostsImage?: string;
  /** The limits that the chart's LimitRange gives containers on the host that have none. */
  defaultLimits?: Readonly<Record<string, string>>;
}

/** All that a translator may know besides its input: facts, and look-ups in the local stores. */
export interface TranslationContext extends ClusterFacts {
  /** The uid of the virtual `kube-system`. */
  storeUid: string;
  /** The host name of a virtual object: that of its host copy if there is one, else the name it is going to have. */
  hostName(type: ResourceType, name: ObjectName): string;
  /** The name inside of what has this name on the host: of a copy, or of the pod whose tokens it holds. */
  nameInside(hostName: string): string | undefined;
  services(namespace: string): readonly Service[];
  service(name: ObjectName): Service | undefined;
  /** Names of the virtual namespaces whose labels match. */
  namespacesWith(matches: (labels: Readonly<Record<string, string>>) => boolean): readonly string[];
  /** A virtual object of a kind that is synced in either direction. */
  find<T extends KubeObject>(reference: Reference): T | undefined;
  /** The Nodes inside that have labels, taints or a cordon of the tenant's own. */
  markedNodes(): readonly Node[];
  /** The keys of the data of a virtual config map or secret; none when it does not exist. */
  dataKeys(reference: Reference): readonly string[];
  /** Addresses that hand-made endpoints must not have: the host's nodes, its API and this cluster's Services. */
  isHostAddress(address: string): boolean;
  /** The network policies of a virtual namespace. */
  networkPolicies(namespace: string): readonly NetworkPolicy[];
  /** The class inside, whoever made it. */
  ingressClass(name: string): IngressClass | undefined;
  /** Addresses that this cluster's workloads have now. */
  workloadAddresses(): readonly string[];
}

/** Another virtual object that an object needs on the host. */
export interface Reference extends ObjectName {
  type: ResourceType;
  /** False: its copy is followed, but not waited for, since there may never be one. */
  isAwaited?: boolean;
  /** True: it is waited for also while it does not exist, since the cluster itself is about to make it. */
  isExpected?: boolean;
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
  /** What becomes of the virtual object where the host has none. */
  | { do: 'write-virtual'; subresource: string; object: T };

/** A part of a host object that its API changes through a sub-resource only, and not while the object is created. */
export interface Subresource<T> {
  readonly name: string;
  /** `host` as it has to become, or `host` itself. Only what may be on the host is put there; what may not is a notice. */
  toHost(host: T, virtual: T, context: TranslationContext): T;
}

/** What else to look at again when an object changes. */
export interface Observation {
  side: Side;
  type: ResourceType;
  /**
   * Keys of the objects that the changed one concerns.
   * @param own the virtual objects of the observing kind.
   */
  keys(changed: KubeObject, own: ReadStore<KubeObject>): readonly ObjectKey[];
}

export type Side = 'virtual' | 'host';

export type Indexers<T> = Readonly<Record<string, (object: T) => readonly string[]>>;

export type When = 'always' | 'referenced';

export interface SyncedKind<T extends KubeObject> {
  readonly type: ResourceType;
  /** The API of either side may not have this kind, come to have it and lose it again: it is synced while both have it. */
  readonly isOptional?: boolean;
  /** Whether the operator wants this kind. Default: yes. */
  isWanted?(options: SyncOptions): boolean;
  /** By what else the local copies are looked up; the names are in `INDEX` (stores.ts). */
  readonly indexers?: { virtual?: Indexers<T>; host?: Indexers<T> };
  /** `referenced`: the host has a copy exactly while a synced object refers to it. */
  readonly when: When | ((options: SyncOptions) => When);
  /**
   * The host object without name and marks (the engine adds them: `onHost`), built from listed fields only.
   * Undefined: this object has no copy on the host.
   * @throws RefusedError when the object must not reach the host.
   */
  toHost(virtual: T, context: TranslationContext): T | undefined;
  /** `host` with everything of `desired` that we own and that may change; fields of the host's own are kept. */
  merge(host: T, desired: T): T;
  readonly subresources?: readonly Subresource<T>[];
  /** `virtual` with what flows back: status, assigned fields. */
  toVirtual?(host: T, virtual: T, context: TranslationContext): T;
  /** `host` with the part of its status that the virtual side decides. */
  toHostStatus?(host: T, virtual: T): T;
  references?(virtual: T): readonly Reference[];
  /**
   * Decides what is done in place of comparing both sides: over lives, of what binds, ends or goes away by itself, and about what has
   * to wait.
   * @throws RefusedError when both sides are to stay as they are, and the user has to know.
   */
  step?(virtual: T, host: T | undefined): Step<T> | undefined;
  /** Its host object may end by itself: how it ended is told inside before the virtual one goes. */
  readonly endsOnHost?: boolean;
  /**
   * A host object made for this virtual object before it existed; `not-seen` when there should be one, which may not have
   * arrived in the local copy yet.
   */
  findReserved?(virtual: T, hosts: ReadStore<T>): T | 'not-seen' | undefined;
  /** Changes of other objects that concern objects of this kind; its own of both sides and its references are a matter of course. */
  readonly observes?: readonly Observation[];
  notices?(virtual: T, context: TranslationContext): readonly Notice[];
  /** Whether an event about something inside the object is told, by the event's `fieldPath`. Default: it is. */
  tellsEventsOf?(virtual: T, fieldPath: string): boolean;
  /** The time that a host object has to end, once its virtual one is gone for good. Default: the host's. */
  readonly orphanGraceSeconds?: number;
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
