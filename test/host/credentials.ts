// The certificates and kubeconfigs of a test host, made anew each time it starts: which there are, and which node holds them.
import { stringify } from 'yaml';
import {
  type Authority,
  createAuthority,
  createLeaf,
  createSigningKeys,
  type PemPair,
} from '../../src/certificates/issue.ts';
import type { Instance, NodePlan } from './instance.ts';
import { NETWORK_POLICY_USER } from './network-policy/access.ts';
import { apiServerUrl } from './units.ts';

export interface Credentials {
  /** Kubeconfig of a cluster administrator. */
  readonly admin: string;
  /** Files of a node's configuration folder. */
  filesOf(node: NodePlan): Readonly<Record<string, string>>;
}

type Files = Readonly<Record<string, string>>;

const LIFETIME_MS = 365 * 24 * 60 * 60_000;

export async function createCredentials(instance: Instance, nowMs: number): Promise<Credentials> {
  const validity = { nowMs, lifetimeMs: LIFETIME_MS };
  const plan = (name: 'ca' | 'front-proxy-ca') => ({ name, commonName: name, organization: instance.name });
  const ca = await createAuthority(plan('ca'), validity);
  const frontProxy = await createAuthority(plan('front-proxy-ca'), validity);

  const client = (commonName: string, organization?: string, authority: Authority = ca) =>
    createLeaf(
      { name: commonName, authority: 'ca', commonName, organization, usage: 'client', names: [] },
      authority,
      validity,
    );
  const server = (commonName: string, names: readonly string[]) =>
    createLeaf({ name: commonName, authority: 'ca', commonName, usage: 'server', names }, ca, validity);
  const config = async (user: string, group?: string) =>
    kubeconfig(apiServerUrl(instance), ca.pem.public, await client(user, group), instance.name);

  const signing = await createSigningKeys();
  const proxy = await config('system:kube-proxy');
  const enforcer = pairFiles('network-policy', await client(NETWORK_POLICY_USER));
  const controlPlane: Files = {
    'front-proxy-ca.crt': frontProxy.pem.public,
    'service-account.key': signing.private,
    'service-account.pub': signing.public,
    ...pairFiles('front-proxy-client', await client('front-proxy-client', undefined, frontProxy)),
    ...pairFiles('apiserver', await server('kube-apiserver', apiServerNames(instance))),
    ...pairFiles('apiserver-kubelet-client', await client('kube-apiserver-kubelet-client', 'system:masters')),
    'kube-controller-manager.kubeconfig': await config('system:kube-controller-manager'),
    'kube-scheduler.kubeconfig': await config('system:kube-scheduler'),
  };
  const files = new Map<string, Files>();
  for (const node of instance.nodes) {
    const user = `system:node:${node.name}`;
    files.set(node.name, {
      ...(node.role === 'control-plane' ? controlPlane : {}),
      'ca.crt': ca.pem.public,
      'kube-proxy.kubeconfig': proxy,
      ...enforcer,
      'kubelet.kubeconfig': await config(user, 'system:nodes'),
      ...pairFiles('kubelet', await server(user, [node.name, ...node.addresses])),
    });
  }
  return {
    admin: await config('kubernetes-admin', 'system:masters'),
    filesOf: (node) => files.get(node.name) ?? {},
  };
}

function apiServerNames(instance: Instance): string[] {
  return [
    'localhost',
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
    '127.0.0.1',
    instance.kubernetesServiceIp,
    ...instance.nodes.flatMap((node) => node.addresses),
  ];
}

function pairFiles(name: string, pair: PemPair): Files {
  return { [`${name}.crt`]: pair.public, [`${name}.key`]: pair.private };
}

function kubeconfig(server: string, authority: string, client: PemPair, name: string): string {
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(authority) } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    users: [
      {
        name,
        user: {
          'client-certificate-data': base64(client.public),
          'client-key-data': base64(client.private),
        },
      },
    ],
  });
}
