// The synced kind Pod: created inside, scheduled and run on the host, its status told back.
import { keyOf, NETWORK_POLICIES, PODS, SECRETS } from '../../../kube/resource.ts';
import { mergeMetadata, type SyncedKind } from '../../kind.ts';
import type { Container, Pod } from '../../objects.ts';
import { hostLabels } from '../../selectors.ts';
import { INDEX } from '../../stores.ts';
import { tokensOf } from '../../tokens/projections.ts';
import { openLabels } from '../network-policies/open-pods.ts';
import { downwardAnnotations } from './downward-api.ts';
import { podStep } from './life.ts';
import { podReferences } from './references.ts';
import { tolerationNotices } from './scheduling.ts';
import { hostPodSpec } from './spec.ts';
import { withHostStatus, withReadinessGates } from './status.ts';

const nodeOf = ({ spec }: Pod) => (spec?.nodeName ? [spec.nodeName] : []);

export const pods: SyncedKind<Pod> = {
  type: PODS,
  when: 'always',
  indexers: {
    virtual: { [INDEX.byNode]: nodeOf },
    host: {
      [INDEX.byNode]: nodeOf,
      [INDEX.byPodIp]: ({ status }) => (status?.podIPs ?? []).map(({ ip }) => ip),
    },
  },
  toHost: (virtual, context) => ({
    metadata: {
      labels: { ...hostLabels(virtual.metadata.labels), ...openLabels(virtual, context) },
      annotations: downwardAnnotations(virtual),
    },
    spec: hostPodSpec(virtual, context),
  }),
  merge: mergePod,
  toVirtual: withHostStatus,
  toHostStatus: withReadinessGates,
  references: podReferences,
  observes: [
    // Its tokens, where somebody deleted or changed them.
    { side: 'host', type: SECRETS, keys: ({ metadata }) => tokensOf(metadata) },
    // What isolates it.
    {
      side: 'virtual',
      type: NETWORK_POLICIES,
      keys: ({ metadata }, own) => own.byIndex(INDEX.byNamespace, metadata.namespace ?? '').map(keyOf),
    },
  ],
  step: podStep,
  notices: tolerationNotices,
};

/** The API lets a pod's images and its deadline change, besides metadata; all else of its spec is fixed when it is created. */
function mergePod(host: Pod, desired: Pod): Pod {
  const metadata = mergeMetadata(host.metadata, desired.metadata);
  if (!host.spec || !desired.spec) return { ...host, metadata };
  const { activeDeadlineSeconds, containers, initContainers } = desired.spec;
  return {
    ...host,
    metadata,
    spec: {
      ...host.spec,
      containers: withImages(host.spec.containers, containers),
      ...(host.spec.initContainers
        ? { initContainers: withImages(host.spec.initContainers, initContainers ?? []) }
        : {}),
      ...(activeDeadlineSeconds === undefined ? {} : { activeDeadlineSeconds }),
    },
  };
}

function withImages(host: readonly Container[], desired: readonly Container[]): Container[] {
  return host.map((container) => {
    const wanted = desired.find(({ name }) => name === container.name);
    return wanted ? { ...container, image: wanted.image } : container;
  });
}
