// The file /etc/hosts of pods with a subdomain, those of a StatefulSet for example: `hostname -f` asks it for the full name. The
// host's kubelet would put the host's namespace into that name. A file mounted in its place has to hold the pod's address, which
// only a container of the pod learns in time; so a container of ours writes it before all others start.
import { defined } from '../../allow-list.ts';
import type { TranslationContext } from '../../kind.ts';
import type { Container, Pod, PodSpec } from '../../objects.ts';

const NAME = 'mayfly-hosts';
const FOLDER = '/mayfly-hosts';
const FILE = 'hosts';
const ETC_HOSTS = '/etc/hosts';

/** As a kubelet begins the file (pkg/kubelet/kubelet_pods.go). */
const HEAD = [
  '# Kubernetes-managed hosts file.',
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::0\tip6-localnet',
  'fe00::0\tip6-mcastprefix',
  'fe00::1\tip6-allnodes',
  'fe00::2\tip6-allrouters',
].join('\n');

/** Texts come as variables, so that nothing of them is ever read as a command. */
const SCRIPT = [
  'umask 022',
  'IFS=,',
  '{',
  'printf "%s\\n" "$HEAD"',
  'for ip in $IPS; do printf "%s\\t%s\\n" "$ip" "$NAMES"; done',
  'printf "%s" "$TAIL"',
  `} > ${FOLDER}/${FILE}`,
].join('\n');

/** `spec` of a host pod, with a true /etc/hosts where the kubelet's would not be. */
export function withHostsFile(
  spec: PodSpec,
  { metadata, spec: inside }: Pod,
  context: TranslationContext,
): PodSpec {
  const { hostsImage, dns } = context;
  const isWindows = inside?.os?.name === 'windows';
  if (!hostsImage || !inside?.subdomain || inside.hostNetwork || inside.hostnameOverride || isWindows)
    return spec;
  const { hostname = '', containers, initContainers = [], volumes = [] } = spec;
  const name = freeName([...containers, ...initContainers, ...volumes].map((item) => item.name));
  const fullName = `${hostname}.${inside.subdomain}.${metadata.namespace}.svc.${dns.domain}`;
  const mounted = (container: Container): Container => {
    const { volumeMounts = [] } = container;
    if (volumeMounts.some(({ mountPath }) => mountPath === ETC_HOSTS)) return container;
    return { ...container, volumeMounts: [...volumeMounts, { name, mountPath: ETC_HOSTS, subPath: FILE }] };
  };
  return {
    ...spec,
    containers: containers.map(mounted),
    initContainers: [
      writer(
        name,
        hostsImage,
        [
          { name: 'IPS', valueFrom: { fieldRef: { fieldPath: 'status.podIPs' } } },
          { name: 'NAMES', value: `${fullName}\t${hostname}` },
          { name: 'HEAD', value: HEAD },
          { name: 'TAIL', value: aliases(spec) },
        ],
        containers[0],
      ),
      ...initContainers.map(mounted),
    ],
    volumes: [...volumes, { name, emptyDir: {} }],
  };
}

/** Whether a container of a host pod is the one that writes the file. */
export function isHostsWriter({ name, volumeMounts = [] }: Container): boolean {
  return volumeMounts.some((mount) => mount.mountPath === FOLDER && mount.name === name);
}

/** Text about a pod's containers, without ours in it. */
export function withoutHostsWriter(text: string): string {
  return text.replace(/\[mayfly-hosts(?:-x)* ?/, '[');
}

/**
 * It asks for what the first container asks for: the pod then needs no more than before, and its QoS class stays. It may do
 * what the strictest profile lets a container do.
 */
function writer(
  name: string,
  image: string,
  env: Container['env'],
  { resources = {} }: Partial<Container> = {},
): Container {
  const own = (amounts: Record<string, string> | undefined) => {
    const kept = Object.entries(amounts ?? {}).filter(
      ([resource]) => resource === 'cpu' || resource === 'memory',
    );
    return kept.length > 0 ? Object.fromEntries(kept) : undefined;
  };
  return {
    name,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['/bin/sh', '-c', SCRIPT],
    env,
    resources: defined({ requests: own(resources.requests), limits: own(resources.limits) }),
    volumeMounts: [{ name, mountPath: FOLDER }],
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      runAsGroup: 65532,
      runAsNonRoot: true,
      runAsUser: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
}

function freeName(taken: readonly string[]): string {
  let name = NAME;
  while (taken.includes(name)) name += '-x';
  return name;
}

function aliases({ hostAliases = [] }: PodSpec): string {
  if (hostAliases.length === 0) return '';
  const lines = hostAliases.map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join('\t')}\n`);
  return `\n# Entries added by HostAliases.\n${lines.join('')}`;
}
