// What changes of a pod while it runs and only through sub-resources: its ephemeral containers and its resources. The rules of
// isolation hold here as they do for a new pod.
import type { Notice, Subresource, TranslationContext } from '../../kind.ts';
import { RefusedError } from '../../kind.ts';
import type { Container, EphemeralContainer, Pod } from '../../objects.ts';
import { askedAnnotations, askedForResources } from './asked.ts';
import { hostEphemeralContainer } from './containers.ts';
import { ephemeralProblem, FORBIDDEN } from './isolation.ts';
import { hostResources, resources } from './resources.ts';

export const podSubresources: readonly Subresource<Pod>[] = [
  { name: 'ephemeralcontainers', toHost: withEphemeralContainers },
  { name: 'resize', toHost: withResources },
];

/** They can be added and never changed or removed, on either side; those that somebody added on the host stay. */
function withEphemeralContainers(host: Pod, virtual: Pod, context: TranslationContext): Pod {
  if (!host.spec || !virtual.spec) return host;
  const present = host.spec.ephemeralContainers ?? [];
  const names = new Set(present.map(({ name }) => name));
  const added = translated(virtual, context).flatMap(({ container }) =>
    container && !names.has(container.name) ? [container] : [],
  );
  if (added.length === 0) return host;
  return { ...host, spec: { ...host.spec, ephemeralContainers: [...present, ...added] } };
}

/** The ephemeral containers that stay inside, each with its reason. */
export function ephemeralNotices(virtual: Pod, context: TranslationContext): Notice[] {
  return translated(virtual, context).flatMap(({ problem }) =>
    problem ? [{ reason: 'SyncRefused', message: problem }] : [],
  );
}

function translated(
  virtual: Pod,
  context: TranslationContext,
): { container?: EphemeralContainer; problem?: string }[] {
  const { spec } = virtual;
  return (spec?.ephemeralContainers ?? []).map((container, index) => {
    const problem = spec && ephemeralProblem(spec, index, context.profile);
    if (problem) return { problem: `${problem} (${FORBIDDEN})` };
    try {
      return { container: hostEphemeralContainer(container, virtual, context) };
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      return { problem: `spec.ephemeralContainers[${index}]: ${error.message} (${error.code})` };
    }
  });
}

function withResources(host: Pod, virtual: Pod, context: TranslationContext): Pod {
  if (!host.spec || !virtual.spec || isResized(host, virtual)) return host;
  const { containers, initContainers } = host.spec;
  return {
    ...host,
    spec: {
      ...host.spec,
      containers: resized(containers, virtual.spec.containers, virtual, context),
      ...(initContainers
        ? { initContainers: resized(initContainers, virtual.spec.initContainers, virtual, context) }
        : {}),
    },
  };
}

/** Whether the host was asked for the resources that the virtual pod has now, and took that. */
export function isResized(host: Pod, virtual: Pod): boolean {
  return askedForResources(host, askedAnnotations(virtual)) || hasItsResources(host, virtual);
}

/** Whether the host pod asks for what the virtual one does; what a LimitRange of the host added to it is the host's. */
export function hasItsResources(host: Pod, virtual: Pod): boolean {
  const pairs: [Container[] | undefined, Container[] | undefined][] = [
    [host.spec?.containers, virtual.spec?.containers],
    [host.spec?.initContainers, virtual.spec?.initContainers],
  ];
  return pairs.every(([hosts = [], virtuals = []]) =>
    hosts.every((container) => {
      const wanted = resources(virtuals.find(({ name }) => name === container.name)?.resources ?? {});
      return (['requests', 'limits'] as const).every((field) =>
        Object.entries(wanted[field] ?? {}).every(
          ([resource, quantity]) => container.resources?.[field]?.[resource] === quantity,
        ),
      );
    }),
  );
}

function resized(
  hosts: readonly Container[],
  virtuals: readonly Container[] = [],
  virtual: Pod,
  context: TranslationContext,
): Container[] {
  return hosts.map((container) => {
    const wanted = virtuals.find(({ name }) => name === container.name)?.resources;
    const { requests, limits } = hostResources(wanted, virtual, context) ?? {};
    if (!requests && !limits) return container;
    return {
      ...container,
      resources: {
        ...container.resources,
        ...(requests ? { requests: { ...container.resources?.requests, ...requests } } : {}),
        ...(limits ? { limits: { ...container.resources?.limits, ...limits } } : {}),
      },
    };
  });
}
