// The status of a virtual pod: what the host's kubelet and scheduler report, by an allow-list and with the names inside.
import { defined, dictionary, fields, list, scalar } from '../../allow-list.ts';
import { createTeller } from '../../host-text.ts';
import type { TranslationContext } from '../../kind.ts';
import type { ContainerStatus, Pod, PodCondition, PodStatus } from '../../objects.ts';
import { withoutHostsWriter } from './hosts-file.ts';
import { allContainers, podReferences } from './references.ts';
import { resources } from './resources.ts';
import { isResized } from './subresources.ts';

/** Conditions that the node and the scheduler decide over; all others on a pod belong to the side that set them. */
const HOST_CONDITIONS = new Set([
  'PodScheduled',
  'PodReadyToStartContainers',
  'Initialized',
  'ContainersReady',
  'Ready',
  'DisruptionTarget',
  'PodResizePending',
  'PodResizeInProgress',
]);

type State = NonNullable<ContainerStatus['state']>;
type HostIps = NonNullable<PodStatus['hostIPs']>;

const terminated = fields<NonNullable<State['terminated']>>({
  containerID: scalar,
  exitCode: scalar,
  finishedAt: scalar,
  message: scalar,
  reason: scalar,
  signal: scalar,
  startedAt: scalar,
});
const state = fields<State>({
  running: fields<NonNullable<State['running']>>({ startedAt: scalar }),
  terminated,
  waiting: fields<NonNullable<State['waiting']>>({ message: scalar, reason: scalar }),
});
const containerStatus = fields<ContainerStatus>({
  name: scalar,
  image: scalar,
  imageID: scalar,
  containerID: scalar,
  ready: scalar,
  restartCount: scalar,
  started: scalar,
  state,
  lastState: state,
  allocatedResources: dictionary,
  resources,
  volumeMounts: list(
    fields<NonNullable<ContainerStatus['volumeMounts']>[number]>({
      name: scalar,
      mountPath: scalar,
      readOnly: scalar,
      recursiveReadOnly: scalar,
    }),
  ),
  user: fields<NonNullable<ContainerStatus['user']>>({
    linux: fields<NonNullable<NonNullable<ContainerStatus['user']>['linux']>>({
      gid: scalar,
      uid: scalar,
      supplementalGroups: list(scalar),
    }),
  }),
  stopSignal: scalar,
});
const condition = fields<PodCondition>({
  type: scalar,
  status: scalar,
  reason: scalar,
  message: scalar,
  lastProbeTime: scalar,
  lastTransitionTime: scalar,
});
const plainStatus = fields<PodStatus>({
  phase: scalar,
  reason: scalar,
  message: scalar,
  hostIP: scalar,
  hostIPs: list(fields<HostIps[number]>({ ip: scalar })),
  podIP: scalar,
  podIPs: list(fields<HostIps[number]>({ ip: scalar })),
  startTime: scalar,
  initContainerStatuses: list(containerStatus),
  containerStatuses: list(containerStatus),
  ephemeralContainerStatuses: list(containerStatus),
});

/** The virtual pod with the host pod's status. The QoS class is fixed at creation and stays as it is inside. */
export function withHostStatus(host: Pod, virtual: Pod, context: TranslationContext): Pod {
  const tell = createTeller(host, virtual, () => podReferences(virtual), context);
  const generation = createGenerations(host, virtual);
  const told = tellMessages(ofContainersInside(plainStatus(host.status ?? {}), virtual), tell);
  const status = defined<PodStatus>({
    ...told,
    qosClass: virtual.status?.qosClass,
    nominatedNodeName: virtual.status?.nominatedNodeName,
    observedGeneration: generation(host.status?.observedGeneration, virtual.status?.observedGeneration),
    conditions: conditions(host, virtual, tell, generation),
  });
  return { ...virtual, status };
}

/** Containers that the host pod has besides, ours or an administrator's, are none inside. */
function ofContainersInside(status: PodStatus, { spec }: Pod): PodStatus {
  const inside = new Set(allContainers(spec).map(({ name }) => name));
  const known = (statuses: ContainerStatus[] | undefined) => {
    const kept = statuses?.filter(({ name }) => inside.has(name));
    return kept && kept.length > 0 ? kept : undefined;
  };
  return defined({
    ...status,
    initContainerStatuses: known(status.initContainerStatuses),
    containerStatuses: known(status.containerStatuses),
    ephemeralContainerStatuses: known(status.ephemeralContainerStatuses),
  });
}

/** The generation inside that an observed generation of the host pod stands for. */
type Generations = (observed: number | undefined, told: number | undefined) => number | undefined;

/**
 * Generations count apart on both sides: the newest of one stands for the newest of the other, once the host pod asks for what
 * the virtual one does. Of what came before, what was told then is all that is known.
 */
function createGenerations(host: Pod, virtual: Pod): Generations {
  const isCarriedOut = isResized(host, virtual);
  return (observed, told) => {
    const isNewest = observed !== undefined && observed === host.metadata.generation;
    return isNewest && isCarriedOut ? virtual.metadata.generation : told;
  };
}

function conditions(
  host: Pod,
  virtual: Pod,
  tell: (text: string) => string,
  generation: Generations,
): PodCondition[] | undefined {
  const fromHost = (host.status?.conditions ?? [])
    .filter(({ type }) => HOST_CONDITIONS.has(type))
    .map((item) => {
      const told = virtual.status?.conditions?.find(({ type }) => type === item.type)?.observedGeneration;
      return defined<PodCondition>({
        ...tellMessages(condition(item), (text) => withoutHostsWriter(tell(text))),
        observedGeneration: generation(item.observedGeneration, told),
      });
    });
  const present = new Set(fromHost.map(({ type }) => type));
  const ownedInside = (virtual.status?.conditions ?? []).filter(
    ({ type }) => !HOST_CONDITIONS.has(type) || (type === 'DisruptionTarget' && !present.has(type)),
  );
  const all = [...fromHost, ...ownedInside];
  return all.length > 0 ? all : undefined;
}

/** Reasons of a container's end whose message is the runtime's; with any other it is what the container itself wrote. */
const ENDED_BY_RUNTIME = new Set(['StartError', 'ContainerCannotRun', 'ContainerStatusUnknown']);

/** Every `message` of the host's, at any depth. */
function tellMessages<T>(value: T, tell: (text: string) => string): T {
  if (Array.isArray(value)) return value.map((item) => tellMessages(item, tell)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const { exitCode, reason } = value as { exitCode?: number; reason?: string };
  if (exitCode !== undefined && !ENDED_BY_RUNTIME.has(reason ?? '')) return value;
  return Object.fromEntries(
    Object.entries(value).map(([field, item]) => [
      field,
      field === 'message' && typeof item === 'string' ? tell(item) : tellMessages(item, tell),
    ]),
  ) as T;
}

/** The host pod with the conditions of the pod's readiness gates, which are decided inside and waited for by its kubelet. */
export function withReadinessGates(host: Pod, virtual: Pod): Pod {
  const gates = new Set((virtual.spec?.readinessGates ?? []).map(({ conditionType }) => conditionType));
  if (gates.size === 0) return host;
  const decided = (virtual.status?.conditions ?? []).filter(
    ({ type }) => gates.has(type) && !HOST_CONDITIONS.has(type),
  );
  const types = new Set(decided.map(({ type }) => type));
  const kept = (host.status?.conditions ?? []).filter(({ type }) => !types.has(type));
  const current = (host.status?.conditions ?? []).filter(({ type }) => types.has(type));
  const same = decided.every(({ type, status }) =>
    current.some((item) => item.type === type && item.status === status),
  );
  if (same) return host;
  return {
    ...host,
    status: { ...host.status, conditions: [...kept, ...decided.map((item) => condition(item))] },
  };
}
