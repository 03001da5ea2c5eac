// The spec of a host pod, built field by field from what is known to be safe and what a pod there needs.
import { RUNTIME_CLASSES, SECRETS, SERVICE_ACCOUNTS } from '../../../kube/resource.ts';
import { defined, fields, list, scalar } from '../../allow-list.ts';
import { RefusedError, type TranslationContext } from '../../kind.ts';
import type { Pod, PodSpec, RuntimeClass } from '../../objects.ts';
import { appArmorProfile, hostContainer, seccompProfile, seLinuxOptions } from './containers.ts';
import { dnsSettings } from './dns.ts';
import { withHostsFile } from './hosts-file.ts';
import { requireIsolation } from './isolation.ts';
import { resources } from './resources.ts';
import { placement } from './scheduling.ts';
import { hostVolume } from './volumes.ts';

type PodSecurityContext = NonNullable<PodSpec['securityContext']>;

/**
 * The chart's ResourceQuota has the scope `Terminating`, which counts pods with a deadline: that makes workloads countable and
 * leaves the control plane's pod out. Whoever asks for no deadline gets the longest there is, 68 years.
 */
const LONGEST_DEADLINE_SECONDS = 2 ** 31 - 1;

/** `containers` is filled in by `hostPodSpec`. */
const plainSpec = fields<PodSpec>({
  restartPolicy: scalar,
  terminationGracePeriodSeconds: scalar,
  hostNetwork: scalar,
  hostPID: scalar,
  hostIPC: scalar,
  hostUsers: scalar,
  hostnameOverride: scalar,
  shareProcessNamespace: scalar,
  os: fields<NonNullable<PodSpec['os']>>({ name: scalar }),
  resources,
  hostAliases: list(
    fields<NonNullable<PodSpec['hostAliases']>[number]>({ ip: scalar, hostnames: list(scalar) }),
  ),
  readinessGates: list(fields<NonNullable<PodSpec['readinessGates']>[number]>({ conditionType: scalar })),
  securityContext: fields<PodSecurityContext>({
    runAsUser: scalar,
    runAsGroup: scalar,
    runAsNonRoot: scalar,
    supplementalGroups: list(scalar),
    supplementalGroupsPolicy: scalar,
    fsGroup: scalar,
    fsGroupChangePolicy: scalar,
    seccompProfile,
    appArmorProfile,
    seLinuxOptions,
    seLinuxChangePolicy: scalar,
    sysctls: list(
      fields<NonNullable<PodSecurityContext['sysctls']>[number]>({ name: scalar, value: scalar }),
    ),
  }),
});

/** @throws RefusedError when the pod asks for what a pod on the host must not have, or cannot have there. */
export function hostPodSpec(pod: Pod, context: TranslationContext): PodSpec {
  const spec = pod.spec ?? { containers: [] };
  requireIsolation(spec, context.profile);
  requireSupport(spec);
  const namespace = pod.metadata.namespace;
  const { initContainers = [], volumes = [], imagePullSecrets = [] } = spec;
  const translated = defined<PodSpec>({
    ...plainSpec(spec),
    ...dnsSettings(pod, context),
    ...placement(pod, context),
    hostname: hostnameOf(pod),
    activeDeadlineSeconds: spec.activeDeadlineSeconds ?? LONGEST_DEADLINE_SECONDS,
    containers: spec.containers.map((container) => hostContainer(container, pod, context)),
    initContainers: nonEmpty(initContainers.map((container) => hostContainer(container, pod, context))),
    volumes: nonEmpty(volumes.map((volume) => hostVolume(volume, pod, context))),
    imagePullSecrets: nonEmpty(
      imagePullSecrets.flatMap(({ name }) =>
        name ? [{ name: context.hostName(SECRETS, { namespace, name }) }] : [],
      ),
    ),
    runtimeClassName: hostRuntimeClass(spec, context),
    priorityClassName: context.sync.priorityClasses.find((name) => name === spec.priorityClassName),
    // The workload's identity is inside: its tokens come from the virtual API, none from the host's.
    serviceAccountName: hostAccount(pod, context),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
  });
  return withHostsFile(translated, pod, context);
}

/** Fields whose loss would change what the pod is: refused rather than dropped. */
function requireSupport({ resourceClaims = [] }: PodSpec): void {
  if (resourceClaims.length > 0) {
    throw new RefusedError(
      'UnsupportedField',
      'spec.resourceClaims: device claims are not given to virtual clusters',
    );
  }
}

/** After the name of a class that is not there: no host has a class of that name. */
const ABSENT = '.absent.mayfly.dev';
const NAME_LENGTH = 253;

/**
 * A class that the operator gives, or for one that a tenant made, the class given that has the same handler. While one of them is
 * not there, the host is asked for what it does not have either: a new pod waits, and one that runs goes on.
 */
function hostRuntimeClass(
  { runtimeClassName: name }: PodSpec,
  context: TranslationContext,
): string | undefined {
  if (!name) return undefined;
  const given = context.sync.runtimeClasses;
  if (given.includes(name)) return name;
  const classNamed = (wanted: string) => context.find<RuntimeClass>({ type: RUNTIME_CLASSES, name: wanted });
  const tenants = classNamed(name);
  const operators = given.map(classNamed);
  const found = tenants && operators.find((one) => one?.handler === tenants.handler);
  if (found) return found.metadata.name;
  if (!tenants || operators.includes(undefined)) return name.slice(0, NAME_LENGTH - ABSENT.length) + ABSENT;
  throw new RefusedError(
    'UnsupportedField',
    `spec.runtimeClassName: ${name} is not given to this virtual cluster`,
  );
}

function hostAccount({ metadata, spec }: Pod, context: TranslationContext): string {
  const name = spec?.serviceAccountName;
  if (!name || !context.sync.serviceAccounts.enabled) return context.workloadServiceAccount;
  return context.hostName(SERVICE_ACCOUNTS, { namespace: metadata.namespace, name });
}

/** What the kubelet would take from the pod's name, which is another on the host. `spec.hostname` is a DNS label. */
function hostnameOf({ metadata, spec }: Pod): string {
  return spec?.hostname || (metadata.name ?? '').slice(0, 63).replaceAll('.', '-').replace(/-+$/, '');
}

function nonEmpty<T>(values: T[]): T[] | undefined {
  return values.length > 0 ? values : undefined;
}
