// Which certificates a virtual control plane needs, for whom, and which container may see which file: the one list of them.
import { isIP } from 'node:net';

export interface ClusterIdentity {
  /** Name of the virtual cluster, which is the name of the chart's release. */
  cluster: string;
  /** Host namespace that the cluster lives in. */
  namespace: string;
  /** Cluster IPs of the host Service of the API server: what `default/kubernetes` holds inside. */
  serviceIps: readonly string[];
  /** More DNS names and IP addresses that the API server answers to. */
  extraNames: readonly string[];
}

type AuthorityName = 'ca' | 'front-proxy-ca';

export interface AuthorityPlan {
  name: AuthorityName;
  commonName: string;
  organization: string;
}

export interface LeafPlan {
  /** Base of the file names: `<name>.crt` and `<name>.key`. */
  name: string;
  authority: AuthorityName;
  commonName: string;
  /** Kubernetes reads the organization of a client certificate as the user's group. */
  organization?: string;
  usage: 'client' | 'server';
  /** DNS names and IP addresses; empty for clients. */
  names: readonly string[];
}

/** The host name under which the API server dials the syncer's admission webhooks, through the egress path. */
export const ADMISSION_HOST = 'admission.syncer.mayfly.internal';

/** The common name by which the syncer's kubelet server knows the API server. */
export const KUBELET_CLIENT_NAME = 'kube-apiserver-kubelet-client';

/** Bypasses RBAC, so that it can act before the roles of an empty store are there; kept to the control plane and the admin. */
const MASTERS = 'system:masters';

export const SERVICE_ACCOUNT_PRIVATE_KEY = 'service-account.key';
export const SERVICE_ACCOUNT_PUBLIC_KEY = 'service-account.pub';

export function planAuthorities({ cluster, namespace }: ClusterIdentity): AuthorityPlan[] {
  return [
    { name: 'ca', commonName: cluster, organization: namespace },
    // Its own authority: whoever holds a certificate of it may name any user in the X-Remote-User header.
    { name: 'front-proxy-ca', commonName: `${cluster} front proxy`, organization: namespace },
  ];
}

export function planLeaves(identity: ClusterIdentity): LeafPlan[] {
  const client = (name: string, commonName: string, organization?: string): LeafPlan => ({
    name,
    authority: 'ca',
    commonName,
    organization,
    usage: 'client',
    names: [],
  });
  const server = (name: string, commonName: string, names: readonly string[]): LeafPlan => ({
    name,
    authority: 'ca',
    commonName,
    usage: 'server',
    names,
  });
  return [
    server('apiserver', 'kube-apiserver', apiServerNames(identity)),
    client('apiserver-kubelet-client', KUBELET_CLIENT_NAME),
    { ...client('front-proxy-client', 'front-proxy-client'), authority: 'front-proxy-ca' },
    client('controller-manager', 'system:kube-controller-manager', MASTERS),
    client('syncer', 'mayfly:syncer', MASTERS),
    client('admin', 'mayfly:admin', MASTERS),
    server('webhook', ADMISSION_HOST, [ADMISSION_HOST]),
    // Nodes come and go, so their addresses cannot be in it; the API server reaches it over a Unix socket only.
    server('kubelet', 'mayfly:kubelet', ['kubelet.syncer.mayfly.internal']),
  ];
}

function apiServerNames({ cluster, namespace, serviceIps, extraNames }: ClusterIdentity): string[] {
  const serviceNames = (service: string, serviceNamespace: string) => [
    service,
    `${service}.${serviceNamespace}`,
    `${service}.${serviceNamespace}.svc`,
    `${service}.${serviceNamespace}.svc.cluster.local`,
  ];
  return [
    ...new Set([
      ...serviceNames('kubernetes', 'default'),
      ...serviceNames(cluster, namespace),
      'localhost',
      '127.0.0.1',
      '::1',
      ...serviceIps,
      ...extraNames,
    ]),
  ];
}

export function isIpAddress(name: string): boolean {
  return isIP(name) !== 0;
}

/** The files that each container of the control plane gets to see, and no other. */
export const FILES_BY_CONTAINER = {
  'kube-apiserver': [
    'ca.crt',
    'apiserver.crt',
    'apiserver.key',
    'apiserver-kubelet-client.crt',
    'apiserver-kubelet-client.key',
    'front-proxy-ca.crt',
    'front-proxy-client.crt',
    'front-proxy-client.key',
    SERVICE_ACCOUNT_PRIVATE_KEY,
    SERVICE_ACCOUNT_PUBLIC_KEY,
  ],
  'kube-controller-manager': [
    'ca.crt',
    'ca.key',
    'controller-manager.crt',
    'controller-manager.key',
    SERVICE_ACCOUNT_PRIVATE_KEY,
  ],
  syncer: ['ca.crt', 'syncer.crt', 'syncer.key', 'kubelet.crt', 'kubelet.key', 'webhook.crt', 'webhook.key'],
} as const satisfies Record<string, readonly string[]>;
