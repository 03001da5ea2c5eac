// The programs of a node with their flags and configuration files: what a distribution would ship as units.
import { stringify } from 'yaml';
import { urlHost } from '../../src/lib/ip-address.ts';
import { type Binaries, componentPath } from './binaries.ts';
import { PAUSE_IMAGE } from './images.ts';
import type { Instance, NodePlan } from './instance.ts';
import { CNI_PLUGIN, cniPlugin } from './network-policy/cni-plugin.ts';
import type { EnforcerProgram } from './network-policy/program.ts';

/** A program of a node and the files that it reads, by their names in the node's configuration folder. */
export interface Unit {
  readonly name: string;
  readonly command: readonly string[];
  /** Path that must exist before the start. */
  readonly waitFor?: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Executable files, by their paths in the node's folder. */
  readonly programs?: Readonly<Record<string, string>>;
}

/** Clients of a small and quiet cluster must not be slowed by limits made for large ones. */
const CLIENT_LIMITS = { qps: 1000, burst: 2000 };
const CLIENT_LIMIT_FLAGS = [`--kube-api-qps=${CLIENT_LIMITS.qps}`, `--kube-api-burst=${CLIENT_LIMITS.burst}`];
const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';
const API_PORT = 6443;
/** Bridge of a node's pods. */
const POD_BRIDGE = 'pods';

export function apiServerUrl(instance: Instance): string {
  const [node] = instance.nodes;
  return `https://${node && urlHost(node.address)}:${API_PORT}`;
}

export interface UnitOptions {
  readonly instance: Instance;
  readonly node: NodePlan;
  readonly binaries: Binaries;
  readonly enforcer: EnforcerProgram;
  /** Folder of the node's configuration files. */
  readonly etc: string;
  readonly audit: boolean;
  readonly nodeGraceSeconds: number | undefined;
}

export function unitsOf(options: UnitOptions): Unit[] {
  const workloads = [containerd(options), kubelet(options), kubeProxy(options), networkPolicy(options)];
  return options.node.role === 'control-plane' ? [...controlPlane(options), ...workloads] : workloads;
}

function controlPlane({ instance, node, binaries, etc, audit, nodeGraceSeconds }: UnitOptions): Unit[] {
  const program = (name: string) => componentPath(binaries, name);
  return [
    {
      name: 'etcd',
      // The data goes with the node, so nothing is gained by waiting for the disk.
      command: [
        program('etcd'),
        '--name=node',
        '--data-dir=/run/etcd',
        '--unsafe-no-fsync',
        '--logger=zap',
        '--log-level=warn',
      ],
    },
    {
      name: 'kube-apiserver',
      command: [
        program('kube-apiserver'),
        '--etcd-servers=http://127.0.0.1:2379',
        `--advertise-address=${node.address}`,
        `--secure-port=${API_PORT}`,
        `--service-cluster-ip-range=${instance.serviceRanges.join(',')}`,
        '--allow-privileged=true',
        '--authorization-mode=Node,RBAC',
        '--enable-admission-plugins=NodeRestriction',
        `--client-ca-file=${etc}/ca.crt`,
        `--tls-cert-file=${etc}/apiserver.crt`,
        `--tls-private-key-file=${etc}/apiserver.key`,
        `--kubelet-certificate-authority=${etc}/ca.crt`,
        `--kubelet-client-certificate=${etc}/apiserver-kubelet-client.crt`,
        `--kubelet-client-key=${etc}/apiserver-kubelet-client.key`,
        '--kubelet-preferred-address-types=InternalIP',
        `--requestheader-client-ca-file=${etc}/front-proxy-ca.crt`,
        '--requestheader-allowed-names=front-proxy-client',
        '--requestheader-extra-headers-prefix=X-Remote-Extra-',
        '--requestheader-group-headers=X-Remote-Group',
        '--requestheader-username-headers=X-Remote-User',
        `--proxy-client-cert-file=${etc}/front-proxy-client.crt`,
        `--proxy-client-key-file=${etc}/front-proxy-client.key`,
        '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
        `--service-account-key-file=${etc}/service-account.pub`,
        `--service-account-signing-key-file=${etc}/service-account.key`,
        ...(audit
          ? ['--audit-log-path=/var/log/audit.jsonl', `--audit-policy-file=${etc}/audit-policy.yaml`]
          : []),
      ],
      files: {
        'audit-policy.yaml': stringify({
          apiVersion: 'audit.k8s.io/v1',
          kind: 'Policy',
          omitStages: ['RequestReceived'],
          rules: [{ level: 'Metadata' }],
        }),
      },
    },
    {
      name: 'kube-controller-manager',
      command: [
        program('kube-controller-manager'),
        `--kubeconfig=${etc}/kube-controller-manager.kubeconfig`,
        `--authentication-kubeconfig=${etc}/kube-controller-manager.kubeconfig`,
        `--authorization-kubeconfig=${etc}/kube-controller-manager.kubeconfig`,
        '--leader-elect=false',
        '--use-service-account-credentials=true',
        ...(nodeGraceSeconds === undefined ? [] : [`--node-monitor-grace-period=${nodeGraceSeconds}s`]),
        `--root-ca-file=${etc}/ca.crt`,
        `--service-account-private-key-file=${etc}/service-account.key`,
        ...CLIENT_LIMIT_FLAGS,
      ],
    },
    {
      name: 'kube-scheduler',
      command: [
        program('kube-scheduler'),
        `--kubeconfig=${etc}/kube-scheduler.kubeconfig`,
        `--authentication-kubeconfig=${etc}/kube-scheduler.kubeconfig`,
        `--authorization-kubeconfig=${etc}/kube-scheduler.kubeconfig`,
        '--leader-elect=false',
        ...CLIENT_LIMIT_FLAGS,
      ],
    },
  ];
}

function containerd({ etc }: UnitOptions): Unit {
  return {
    name: 'containerd',
    command: ['containerd', `--config=${etc}/containerd.toml`],
    files: {
      // A machine without CAP_SYS_RESOURCE cannot lower oom_score_adj: runc would fail each container.
      'containerd.toml': `version = 2
oom_score = 0
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "${etc}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`,
    },
  };
}

function kubelet({ instance, node, binaries, etc }: UnitOptions): Unit {
  return {
    name: 'kubelet',
    waitFor: CONTAINERD_SOCKET,
    command: [
      componentPath(binaries, 'kubelet'),
      `--config=${etc}/kubelet.yaml`,
      `--kubeconfig=${etc}/kubelet.kubeconfig`,
      `--hostname-override=${node.name}`,
      `--node-ip=${node.addresses.join(',')}`,
    ],
    files: {
      'resolv.conf': '',
      'cni/10-bridge.conflist': JSON.stringify(cniConfiguration(node), undefined, 2),
      'kubelet.yaml': stringify({
        apiVersion: 'kubelet.config.k8s.io/v1beta1',
        kind: 'KubeletConfiguration',
        address: instance.families.includes('IPv6') ? '::' : '0.0.0.0',
        authentication: {
          anonymous: { enabled: false },
          webhook: { enabled: true },
          x509: { clientCAFile: `${etc}/ca.crt` },
        },
        authorization: { mode: 'Webhook' },
        tlsCertFile: `${etc}/kubelet.crt`,
        tlsPrivateKeyFile: `${etc}/kubelet.key`,
        containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
        clusterDomain: 'cluster.local',
        clusterDNS: [instance.dnsServiceIp],
        resolvConf: `${etc}/resolv.conf`,
        cgroupDriver: 'cgroupfs',
        cgroupRoot: node.cgroup,
        cgroupsPerQOS: true,
        enforceNodeAllocatable: [],
        failSwapOn: false,
        oomScoreAdj: 0,
        maxPods: 250,
        serializeImagePulls: false,
        kubeAPIQPS: CLIENT_LIMITS.qps,
        kubeAPIBurst: CLIENT_LIMITS.burst,
        // The disk is the machine's: its other contents must neither evict pods nor delete images.
        imageGCHighThresholdPercent: 100,
        evictionHard: {
          'nodefs.available': '0%',
          'nodefs.inodesFree': '0%',
          'imagefs.available': '0%',
          'memory.available': '100Mi',
        },
      }),
    },
  };
}

function kubeProxy({ instance, node, binaries, etc }: UnitOptions): Unit {
  return {
    name: 'kube-proxy',
    command: [componentPath(binaries, 'kube-proxy'), `--config=${etc}/kube-proxy.yaml`],
    files: {
      'kube-proxy.yaml': stringify({
        apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
        kind: 'KubeProxyConfiguration',
        mode: 'iptables',
        clientConnection: { kubeconfig: `${etc}/kube-proxy.kubeconfig` },
        clusterCIDR: instance.podRanges.join(','),
        hostnameOverride: node.name,
        oomScoreAdj: 0,
        // Limits of the machine's connection table are not this node's to set.
        conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
      }),
    },
  };
}

/** Enforces NetworkPolicy; its CNI plugin comes last in the chain, when a pod has its address. */
function networkPolicy({ instance, node, enforcer, etc }: UnitOptions): Unit {
  return {
    name: 'network-policy',
    command: [
      enforcer.node,
      enforcer.script,
      `--server=${apiServerUrl(instance)}`,
      `--etc=${etc}`,
      `--node=${node.name}`,
      `--bridge=${POD_BRIDGE}`,
      `--announcements=${instance.announcementsDir}`,
    ],
    programs: { [`opt/cni/bin/${CNI_PLUGIN}`]: cniPlugin(instance.announcementsDir, node.name) },
  };
}

function cniConfiguration(node: NodePlan): object {
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: POD_BRIDGE,
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: node.podRanges.map((subnet) => [{ subnet }]),
          routes: node.podRanges.map((range) => ({ dst: range.includes(':') ? '::/0' : '0.0.0.0/0' })),
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
      { type: CNI_PLUGIN },
    ],
  };
}
