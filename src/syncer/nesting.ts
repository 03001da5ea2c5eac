// Virtual clusters within virtual clusters: how deep this one stands, what limits that, and what it tells those inside it.
// The limit is for whoever uses our chart; what everybody inside can consume is bound by the quota of the outermost.
import { isIP } from 'node:net';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isForbidden, isNotFound, isRetryable, KubeError } from '../kube/errors.ts';
import { CONFIG_MAPS, type KubeObject, ROLE_BINDINGS, ROLES } from '../kube/resource.ts';
import { retry } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import { ForbiddenError } from '../lib/errors.ts';
import { FIELD_MANAGER } from './names.ts';
import type { ConfigMap } from './objects.ts';

export interface Nesting {
  /** 1 in a cluster of machines, 2 in a virtual cluster there, and so on. */
  depth: number;
  /** The smallest limit of this cluster and those around it. */
  maxDepth: number;
  /** The DNS server of the virtual cluster around this one. */
  upstreamDns?: string;
}

/** In every virtual cluster, readable by everybody who is known there. */
const MARKER = { namespace: 'kube-public', name: 'mayfly-virtual-cluster' };
const RETRY = { backoff: { baseMs: 100, maxMs: 2_000 }, attempts: 30 };

export interface NestingDeps {
  host: Pick<KubeClient, 'get'>;
  /** The limit that this cluster's own chart was given. */
  maxDepth: number;
  clock: Clock;
}

/** @throws ForbiddenError `NestedTooDeep` when this cluster must not be. */
export async function readNesting(
  { host, maxDepth, clock }: NestingDeps,
  signal: AbortSignal,
): Promise<Nesting> {
  async function readMarker(): Promise<Record<string, string>> {
    try {
      const { data } = await host.get<ConfigMap>(CONFIG_MAPS, MARKER, { signal });
      return data ?? {};
    } catch (error) {
      // A host that lets nobody read this namespace is no virtual cluster.
      if (isNotFound(error) || isForbidden(error)) return {};
      throw error;
    }
  }
  // The token of a pod that was just made may not be known yet.
  const mayPass = (error: unknown) =>
    isRetryable(error) || (error instanceof KubeError && error.status === 401);
  const around = await retry(readMarker, { ...RETRY, isRetryable: mayPass, signal, clock });
  const nesting = {
    depth: wholeNumber(around.depth, 0) + 1,
    maxDepth: Math.min(maxDepth, wholeNumber(around.maxDepth, maxDepth)),
    ...(isIP(around.dns ?? '') !== 0 && { upstreamDns: around.dns }),
  };
  if (nesting.depth <= nesting.maxDepth) return nesting;
  throw new ForbiddenError({
    code: 'NestedTooDeep',
    message:
      `this virtual cluster would be the ${nesting.depth}. of virtual clusters within each other, and ` +
      `nesting.maxDepth allows ${nesting.maxDepth}`,
  });
}

export interface PublishDeps {
  /** Of the virtual API. */
  client: Pick<KubeClient, 'apply'>;
  nesting: Nesting;
  dns: { clusterIp: string };
  clock: Clock;
}

/** Tells virtual clusters that may be installed in this one. */
export async function publishNesting(
  { client, nesting, dns, clock }: PublishDeps,
  signal: AbortSignal,
): Promise<void> {
  const role = { apiGroup: ROLES.group, kind: ROLES.kind, name: MARKER.name };
  const marker: ConfigMap = {
    metadata: MARKER,
    data: { depth: String(nesting.depth), maxDepth: String(nesting.maxDepth), dns: dns.clusterIp },
  };
  const objects: { type: typeof CONFIG_MAPS; object: KubeObject }[] = [
    { type: CONFIG_MAPS, object: marker },
    {
      type: ROLES,
      object: {
        metadata: MARKER,
        rules: [{ apiGroups: [''], resources: ['configmaps'], resourceNames: [MARKER.name], verbs: ['get'] }],
      } as KubeObject,
    },
    {
      type: ROLE_BINDINGS,
      object: {
        metadata: MARKER,
        roleRef: role,
        subjects: [{ apiGroup: ROLES.group, kind: 'Group', name: 'system:authenticated' }],
      } as KubeObject,
    },
  ];
  // The namespace may only be coming up.
  const mayPass = (error: unknown) => isRetryable(error) || isConflict(error) || isNotFound(error);
  await Promise.all(
    objects.map(({ type, object }) =>
      retry(() => client.apply(type, object, { fieldManager: FIELD_MANAGER, force: true, signal }), {
        ...RETRY,
        isRetryable: mayPass,
        signal,
        clock,
      }),
    ),
  );
}

function wholeNumber(text: string | undefined, otherwise: number): number {
  return text !== undefined && /^\d{1,3}$/.test(text) ? Number(text) : otherwise;
}
