// The synced kind Pod: created inside, scheduled and run on the host, its status told back.
import {
  keyOf,
  NETWORK_POLICIES,
  type ObjectMeta,
  PODS,
  RUNTIME_CLASSES,
  SECRETS,
} from '../../../kube/resource.ts';
import { sameOnWire } from '../../equality.ts';
import { mergeMetadata, type SyncedKind } from '../../kind.ts';
import { ANNOTATION_ASKED_RESOURCES } from '../../names.ts';
import type { Container, Pod, Toleration } from '../../objects.ts';
import { hostLabels } from '../../selectors.ts';
import { INDEX } from '../../stores.ts';
import { tokensOf } from '../../tokens/projections.ts';
import { openLabels } from '../network-policies/open-pods.ts';
import { askedAnnotations, askedForImages } from './asked.ts';
import { downwardAnnotations } from './downward-api.ts';
import { isHostsWriter } from './hosts-file.ts';
import { podStep } from './life.ts';
import { allContainers, podReferences } from './references.ts';
import { tolerationNotices } from './scheduling.ts';
import { hostPodSpec } from './spec.ts';
import { withHostStatus, withReadinessGates } from './status.ts';
import { ephemeralNotices, hasItsResources, podSubresources } from './subresources.ts';

/** The pods that name a RuntimeClass, in the index. */
const CHOSEN = 'chosen';

const nodeOf = ({ spec }: Pod) => (spec?.nodeName ? [spec.nodeName] : []);

export const pods: SyncedKind<Pod> = {
  type: PODS,
  when: 'always',
  indexers: {
    virtual: {
      [INDEX.byNode]: nodeOf,
      [INDEX.byRuntime]: ({ spec }) => (spec?.runtimeClassName ? [CHOSEN] : []),
    },
    host: {
      [INDEX.byNode]: nodeOf,
      [INDEX.byPodIp]: ({ status }) => (status?.podIPs ?? []).map(({ ip }) => ip),
    },
  },
  toHost: (virtual, context) => ({
    metadata: {
      labels: { ...hostLabels(virtual.metadata.labels), ...openLabels(virtual, context) },
      annotations: { ...downwardAnnotations(virtual), ...askedAnnotations(virtual) },
    },
    spec: hostPodSpec(virtual, context),
  }),
  merge: mergePod,
  subresources: podSubresources,
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
    // Its own and those of the operator say together which of these it has.
    {
      side: 'virtual',
      type: RUNTIME_CLASSES,
      keys: (_, own) => own.byIndex(INDEX.byRuntime, CHOSEN).map(keyOf),
    },
  ],
  step: podStep,
  endsOnHost: true,
  notices: (virtual, context) => [
    ...tolerationNotices(virtual, context),
    ...ephemeralNotices(virtual, context),
  ],
  tellsEventsOf,
  // Inside, a pod that waits for its end is there until it has ended: one that is gone was deleted by force.
  orphanGraceSeconds: 0,
};

/** A kubelet's events name the container: `spec.containers{app}`. */
function tellsEventsOf({ spec }: Pod, fieldPath: string): boolean {
  const [, container] = /^spec\.\w+\{(.+)\}$/.exec(fieldPath) ?? [];
  return container === undefined || allContainers(spec).some(({ name }) => name === container);
}

/** The API lets a pod's images and deadline change and tolerations be added, besides metadata and what sub-resources change. */
function mergePod(host: Pod, desired: Pod): Pod {
  const metadata = mergeMetadata(host.metadata, stillAsked(host, desired));
  if (!host.spec || !desired.spec) return { ...host, metadata };
  const { activeDeadlineSeconds, containers, initContainers, tolerations } = desired.spec;
  const added = missingFrom(host.spec.tolerations, tolerations);
  const hasImages = askedForImages(host, desired.metadata.annotations);
  const images = hasImages
    ? {}
    : {
        containers: withImages(host.spec.containers, containers),
        ...(host.spec.initContainers
          ? { initContainers: withImages(host.spec.initContainers, initContainers ?? []) }
          : {}),
      };
  return {
    ...host,
    metadata,
    spec: {
      ...host.spec,
      ...images,
      ...(activeDeadlineSeconds === undefined ? {} : { activeDeadlineSeconds }),
      ...(added.length > 0 ? { tolerations: [...(host.spec.tolerations ?? []), ...added] } : {}),
    },
  };
}

/** That resources were asked for is noted once the host pod has them: they come by a request of their own, which may fail. */
function stillAsked(host: Pod, desired: Pod): ObjectMeta {
  const { [ANNOTATION_ASKED_RESOURCES]: wanted = '', ...annotations } = desired.metadata.annotations ?? {};
  const noted = hasItsResources(host, desired)
    ? wanted
    : host.metadata.annotations?.[ANNOTATION_ASKED_RESOURCES];
  return {
    ...desired.metadata,
    annotations: { ...annotations, ...(noted ? { [ANNOTATION_ASKED_RESOURCES]: noted } : {}) },
  };
}

function missingFrom(present: readonly Toleration[] = [], wanted: readonly Toleration[] = []): Toleration[] {
  return wanted.filter((toleration) => !present.some((other) => sameOnWire(other, toleration)));
}

function withImages(host: readonly Container[], desired: readonly Container[]): Container[] {
  return host.map((container) => {
    if (isHostsWriter(container)) return container;
    const wanted = desired.find(({ name }) => name === container.name);
    return wanted ? { ...container, image: wanted.image } : container;
  });
}
