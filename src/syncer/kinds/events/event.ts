// An event of the host about a synced object, as an event inside about the virtual object, with the names inside.
import { apiVersionOf, type KubeObject, type ResourceType } from '../../../kube/resource.ts';
import { defined } from '../../allow-list.ts';
import type { Event } from '../../objects.ts';

const NAME_LENGTH = 253;

/** @param tell replaces the names of the host in text. */
export function toVirtualEvent(
  host: Event,
  type: ResourceType,
  virtual: KubeObject,
  tell: (text: string) => string,
): Event {
  const { name = '', namespace = 'default', uid, resourceVersion } = virtual.metadata;
  const first = host.firstTimestamp ?? host.eventTime ?? host.metadata.creationTimestamp;
  const last = host.lastTimestamp ?? host.series?.lastObservedTime ?? first;
  return defined<Event>({
    metadata: { name: virtualEventName(host, name), namespace },
    involvedObject: defined({
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      namespace,
      name,
      uid,
      resourceVersion,
      // The container, in the kubelet's events.
      fieldPath: host.involvedObject.fieldPath,
    }),
    type: host.type,
    reason: host.reason,
    message: host.message && tell(host.message),
    // Node names are the same on both sides.
    source: defined({
      component: host.source?.component ?? host.reportingComponent,
      host: host.source?.host,
    }),
    firstTimestamp: first && wholeSeconds(first),
    lastTimestamp: last && wholeSeconds(last),
    count: host.count ?? host.series?.count ?? 1,
  });
}

/** `<object>.<suffix>`, where the suffix is what tells the host's events about one object apart. */
function virtualEventName(host: Event, name: string): string {
  const hostName = host.metadata.name ?? '';
  const suffix = hostName.slice(hostName.lastIndexOf('.') + 1);
  return `${name.slice(0, NAME_LENGTH - suffix.length - 1)}.${suffix}`;
}

/** The time of the last occurrence, in milliseconds since the epoch; NaN when it says none. */
export function lastSeenMs(event: Event): number {
  return Date.parse(
    event.lastTimestamp ??
      event.series?.lastObservedTime ??
      event.eventTime ??
      event.metadata.creationTimestamp ??
      '',
  );
}

/** The fields are of type Time, whose wire format has no fractions; those of type MicroTime have. */
function wholeSeconds(timestamp: string): string {
  return timestamp.replace(/\.\d+Z$/, 'Z');
}
