// The resources of a container on the host, where a LimitRange gives those that say nothing a limit: one that contradicts what
// the container or its pod does say would keep the pod from being made.
import { defined, dictionary, fields } from '../../allow-list.ts';
import type { TranslationContext } from '../../kind.ts';
import type { Container, Pod } from '../../objects.ts';
import { quantityOf } from '../../quantity.ts';

type Resources = NonNullable<Container['resources']>;

export const resources = fields<Resources>({ limits: dictionary, requests: dictionary });

export function hostResources(
  wanted: Resources | undefined,
  { spec }: Pod,
  { defaultLimits = {} }: TranslationContext,
): Resources | undefined {
  const own = resources(wanted ?? {});
  const ofPod = spec?.resources;
  const limits = { ...own.limits };
  const requests = { ...own.requests };
  const isLimited = Object.keys(defaultLimits).length > 0;
  for (const [resource, limit] of Object.entries(defaultLimits)) {
    const request = requests[resource];
    if (limits[resource] !== undefined) continue;
    // The default would be less than the container asks for: the least that may be given is what it asks for.
    if (quantityOf(request) > quantityOf(limit)) limits[resource] = request ?? limit;
    // Its pod's limit is the only one that it has.
    const shared = ofPod?.limits?.[resource];
    if (shared !== undefined) limits[resource] = shared;
  }
  // Default requests of all containers together may be more than their pod asks for.
  for (const resource of isLimited ? Object.keys(ofPod?.requests ?? {}) : []) requests[resource] ??= '0';
  if (!wanted && Object.keys({ ...limits, ...requests }).length === 0) return undefined;
  return defined({
    limits: own.limits || Object.keys(limits).length > 0 ? limits : undefined,
    requests: own.requests || Object.keys(requests).length > 0 ? requests : undefined,
  });
}
