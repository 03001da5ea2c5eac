// From the pod that the virtual API server names to its one copy on the host, and nobody else's.
import { objectKey } from '../../kube/resource.ts';
import type { ReadStore } from '../../kube/store.ts';
import { NotFoundError } from '../../lib/errors.ts';
import { ANNOTATION_UID } from '../names.ts';
import type { Node, Pod } from '../objects.ts';
import { INDEX } from '../stores.ts';
import type { PodRoute } from './route.ts';

export interface KubeletStores {
  virtual: {
    pods: Pick<ReadStore<Pod>, 'get' | 'byIndex'>;
    nodes: Pick<ReadStore<Node>, 'byIndex'>;
  };
  host: { pods: Pick<ReadStore<Pod>, 'byIndex'> };
}

export interface FoundPod {
  virtual: Pod;
  host: Pod;
}

/** The virtual pods that run on the nodes with this InternalIP. */
export function podsOn(nodeAddress: string, { virtual }: KubeletStores): readonly Pod[] {
  return virtual.nodes
    .byIndex(INDEX.byInternalIp, nodeAddress)
    .flatMap(({ metadata }) => virtual.pods.byIndex(INDEX.byNode, metadata.name ?? ''));
}

/**
 * @param nodeAddress the address under which the kubelet was dialled: a kubelet knows the pods of its own node only.
 * @throws NotFoundError in the kubelet's words.
 */
export function findPod(
  { namespace, pod: name, uid, container }: PodRoute & { container?: string },
  nodeAddress: string,
  stores: KubeletStores,
): FoundPod {
  const key = objectKey({ namespace, name });
  const virtual = stores.virtual.pods.get(key);
  const isHere =
    virtual?.spec?.nodeName !== undefined &&
    stores.virtual.nodes
      .byIndex(INDEX.byInternalIp, nodeAddress)
      .some(({ metadata }) => metadata.name === virtual.spec?.nodeName);
  if (!virtual || !isHere || (uid !== undefined && uid !== virtual.metadata.uid)) {
    throw notFound(`pod "${name}" is not on this node`);
  }
  if (container !== undefined && !hasContainer(virtual, container)) {
    throw notFound(`container "${container}" not found in pod "${name}"`);
  }
  const host = stores.host.pods
    .byIndex(INDEX.byVirtualKey, key)
    .find(({ metadata }) => metadata.annotations?.[ANNOTATION_UID] === virtual.metadata.uid);
  if (!host) throw notFound(`pod "${name}" has no copy on the host yet`);
  return { virtual, host };
}

function hasContainer({ spec }: Pod, container: string): boolean {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = spec ?? {};
  return [...containers, ...initContainers, ...ephemeralContainers].some(({ name }) => name === container);
}

function notFound(message: string): NotFoundError {
  return new NotFoundError({ code: 'NotFound', message });
}
