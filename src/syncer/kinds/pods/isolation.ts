// What a pod may ask of the host: the rules of the Pod Security Standards (v1.34), checked on the virtual pod before it is
// translated, so that the refusal names the field. The host namespace's own Pod Security label stands behind it.
import type { IsolationProfile } from '../../kind.ts';
import { RefusedError } from '../../kind.ts';
import type { Container, PodSpec, Volume } from '../../objects.ts';

type SecurityContext = NonNullable<Container['securityContext']>;
type PodSecurityContext = NonNullable<PodSpec['securityContext']>;
type AnySecurityContext = SecurityContext | PodSecurityContext;

interface Violation {
  path: string;
  problem: string;
}

type Rule<T> = (value: T, path: string) => Violation[];

const BASELINE_CAPABILITIES = new Set(
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(
    ' ',
  ),
);
const SAFE_SYSCTLS = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
]);
const SELINUX_TYPES = new Set([
  '',
  'container_t',
  'container_init_t',
  'container_kvm_t',
  'container_engine_t',
]);
/** Volume types that stay on the node's own or the pod's own ground. All others are never copied, in any profile. */
const SAFE_VOLUMES = new Set([
  'configMap',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);

/**
 * Ephemeral containers are looked at one by one (`ephemeralProblem`): one that is refused is no reason to end the pod.
 * @throws RefusedError naming the first offending field and how many more there are.
 */
export function requireIsolation(spec: PodSpec, profile: IsolationProfile): void {
  const problem = summary(violations(spec, profile));
  if (problem) throw new RefusedError(FORBIDDEN, problem);
}

/** What keeps the ephemeral container at `index` from the host; undefined when nothing does. */
export function ephemeralProblem(
  spec: PodSpec,
  index: number,
  profile: IsolationProfile,
): string | undefined {
  const container = spec.ephemeralContainers?.[index];
  if (!container || profile === 'none') return undefined;
  return summary(containerViolations(container, `spec.ephemeralContainers[${index}]`, spec, profile));
}

export const FORBIDDEN = 'ForbiddenByProfile';

function summary([first, ...more]: readonly Violation[]): string | undefined {
  if (!first) return undefined;
  return `${first.path}: ${first.problem}${more.length > 0 ? ` (and ${more.length} more)` : ''}`;
}

export function violations(spec: PodSpec, profile: IsolationProfile): Violation[] {
  const found = [...volumeRules(spec, profile)];
  if (profile === 'none') return found;
  found.push(...hostNamespaces(spec), ...baselineContext(spec.securityContext ?? {}, 'spec.securityContext'));
  found.push(...sysctls(spec.securityContext ?? {}, 'spec.securityContext'));
  for (const [path, container] of containersOf(spec)) {
    found.push(...containerViolations(container, path, spec, profile));
  }
  return found;
}

/** Of a profile that asks something. */
function containerViolations(
  container: Container,
  path: string,
  spec: PodSpec,
  profile: IsolationProfile,
): Violation[] {
  const found = baselineContainer(container, path);
  return profile === 'restricted' ? [...found, ...restrictedContainer(container, path, spec)] : found;
}

function containersOf(spec: PodSpec): [string, Container][] {
  const listed = (field: string, containers: readonly Container[] = []): [string, Container][] =>
    containers.map((container, index) => [`spec.${field}[${index}]`, container]);
  return [...listed('initContainers', spec.initContainers), ...listed('containers', spec.containers)];
}

const when = (condition: boolean, path: string, problem: string): Violation[] =>
  condition ? [{ path, problem }] : [];

function volumeRules({ volumes = [] }: PodSpec, profile: IsolationProfile): Violation[] {
  return volumes.flatMap((volume, index) => {
    const type = volumeType(volume);
    const allowed = SAFE_VOLUMES.has(type) || (type === 'hostPath' && profile === 'none');
    return when(
      !allowed,
      `spec.volumes[${index}].${type}`,
      `volumes of this type are not given to virtual clusters`,
    );
  });
}

/** The field that holds a volume's source; a volume without one is an emptyDir. */
function volumeType({ name: _, ...sources }: Volume): string {
  const [type] = Object.entries(sources).find(([, source]) => source !== undefined && source !== null) ?? [
    'emptyDir',
  ];
  return type;
}

function hostNamespaces(spec: PodSpec): Violation[] {
  return (['hostNetwork', 'hostPID', 'hostIPC'] as const).flatMap((field) =>
    when(
      spec[field] === true,
      `spec.${field}`,
      'the namespaces of the host are not given to virtual clusters',
    ),
  );
}

const baselineContext: Rule<AnySecurityContext> = (context, path) => {
  const { seccompProfile, appArmorProfile, seLinuxOptions, windowsOptions } = context;
  return [
    ...when(
      seccompProfile?.type === 'Unconfined',
      `${path}.seccompProfile.type`,
      'Unconfined is not allowed',
    ),
    ...when(
      appArmorProfile?.type === 'Unconfined',
      `${path}.appArmorProfile.type`,
      'Unconfined is not allowed',
    ),
    ...when(
      !SELINUX_TYPES.has(seLinuxOptions?.type ?? ''),
      `${path}.seLinuxOptions.type`,
      `${seLinuxOptions?.type} is not a container type`,
    ),
    ...when(Boolean(seLinuxOptions?.user), `${path}.seLinuxOptions.user`, 'may not be set'),
    ...when(Boolean(seLinuxOptions?.role), `${path}.seLinuxOptions.role`, 'may not be set'),
    ...when(windowsOptions?.hostProcess === true, `${path}.windowsOptions.hostProcess`, 'is not allowed'),
  ];
};

const sysctls: Rule<PodSecurityContext> = ({ sysctls: wanted = [] }, path) =>
  wanted.flatMap(({ name }, index) =>
    when(!SAFE_SYSCTLS.has(name), `${path}.sysctls[${index}].name`, `${name} is not a safe sysctl`),
  );

const baselineContainer: Rule<Container> = (container, path) => {
  const { securityContext: context = {}, ports = [], volumeMounts = [] } = container;
  const at = `${path}.securityContext`;
  return [
    ...baselineContext(context, at),
    ...when(context.privileged === true, `${at}.privileged`, 'privileged containers are not allowed'),
    ...when(
      (context.procMount ?? 'Default') !== 'Default',
      `${at}.procMount`,
      `${context.procMount} is not allowed`,
    ),
    ...(context.capabilities?.add ?? []).flatMap((capability, index) =>
      when(
        !BASELINE_CAPABILITIES.has(capability),
        `${at}.capabilities.add[${index}]`,
        `the capability ${capability} is not allowed`,
      ),
    ),
    ...ports.flatMap(({ hostPort }, index) =>
      when(
        Boolean(hostPort),
        `${path}.ports[${index}].hostPort`,
        'ports of the host are not given to virtual clusters',
      ),
    ),
    ...volumeMounts.flatMap(({ mountPropagation }, index) =>
      when(
        mountPropagation === 'Bidirectional',
        `${path}.volumeMounts[${index}].mountPropagation`,
        'Bidirectional is not allowed',
      ),
    ),
    ...hostsOfHandlers(container, path),
  ];
};

/** The kubelet runs probes and hooks from the node's network: with a host of their choice they would reach anything. */
const hostsOfHandlers: Rule<Container> = (container, path) => {
  const { livenessProbe, readinessProbe, startupProbe, lifecycle } = container;
  const handlers = {
    livenessProbe,
    readinessProbe,
    startupProbe,
    'lifecycle.postStart': lifecycle?.postStart,
    'lifecycle.preStop': lifecycle?.preStop,
  };
  return Object.entries(handlers).flatMap(([field, handler]) =>
    (['httpGet', 'tcpSocket'] as const).flatMap((action) =>
      when(Boolean(handler?.[action]?.host), `${path}.${field}.${action}.host`, 'may not be set'),
    ),
  );
};

function restrictedContainer(
  container: Container,
  path: string,
  { securityContext: pod = {} }: PodSpec,
): Violation[] {
  const own = container.securityContext ?? {};
  const at = `${path}.securityContext`;
  const added = own.capabilities?.add ?? [];
  return [
    ...when(own.allowPrivilegeEscalation !== false, `${at}.allowPrivilegeEscalation`, 'must be false'),
    ...when(!own.capabilities?.drop?.includes('ALL'), `${at}.capabilities.drop`, 'must contain ALL'),
    ...added.flatMap((capability, index) =>
      when(
        capability !== 'NET_BIND_SERVICE',
        `${at}.capabilities.add[${index}]`,
        `${capability} is not allowed`,
      ),
    ),
    ...when((own.runAsNonRoot ?? pod.runAsNonRoot) !== true, `${at}.runAsNonRoot`, 'must be true'),
    ...when((own.runAsUser ?? pod.runAsUser) === 0, `${at}.runAsUser`, 'must not be 0'),
    ...when(
      !['RuntimeDefault', 'Localhost'].includes((own.seccompProfile ?? pod.seccompProfile)?.type ?? ''),
      `${at}.seccompProfile.type`,
      'must be RuntimeDefault or Localhost',
    ),
  ];
}
