// Which certificates and kubeconfigs a cluster needs, and which of them each node holds.
import { createAuthority, createSigningKeys, kubeconfig } from './certificates.ts';
import type { Instance, NodePlan } from './instance.ts';
import { apiServerUrl } from './units.ts';

export interface Credentials {
  /** Kubeconfig of a cluster administrator. */
  readonly admin: string;
  /** Files of a node's configuration folder. */
  filesOf(node: NodePlan): Readonly<Record<string, string>>;
}

export async function createCredentials(instance: Instance, now: Date): Promise<Credentials> {
  const authority = await createAuthority('kubernetes', now);
  const frontProxy = await createAuthority('front-proxy-ca', now);
  const server = apiServerUrl(instance);

  const client = async (commonName: string, organization?: string) =>
    kubeconfig(
      server,
      authority.certificate,
      await authority.issue({ commonName, ...(organization ? { organization } : {}) }),
      instance.name,
    );
  const pair = async (name: string, issued: Promise<{ certificate: string; key: string }>) => {
    const { certificate, key } = await issued;
    return { [`${name}.crt`]: certificate, [`${name}.key`]: key };
  };

  const signing = await createSigningKeys();
  const controlPlane = {
    'front-proxy-ca.crt': frontProxy.certificate,
    'service-account.key': signing.privateKey,
    'service-account.pub': signing.publicKey,
    ...(await pair('front-proxy-client', frontProxy.issue({ commonName: 'front-proxy-client' }))),
    ...(await pair(
      'apiserver',
      authority.issue({
        commonName: 'kube-apiserver',
        dnsNames: [
          'localhost',
          'kubernetes',
          'kubernetes.default',
          'kubernetes.default.svc',
          'kubernetes.default.svc.cluster.local',
        ],
        ipAddresses: [
          '127.0.0.1',
          instance.kubernetesServiceIp,
          ...instance.nodes.map((node) => node.address),
        ],
      }),
    )),
    ...(await pair(
      'apiserver-kubelet-client',
      authority.issue({ commonName: 'kube-apiserver-kubelet-client', organization: 'system:masters' }),
    )),
    'kube-controller-manager.kubeconfig': await client('system:kube-controller-manager'),
    'kube-scheduler.kubeconfig': await client('system:kube-scheduler'),
  };
  const proxy = await client('system:kube-proxy');
  const nodeFiles = new Map<string, Readonly<Record<string, string>>>();
  for (const node of instance.nodes) {
    nodeFiles.set(node.name, {
      ...(node.role === 'control-plane' ? controlPlane : {}),
      'ca.crt': authority.certificate,
      'kube-proxy.kubeconfig': proxy,
      'kubelet.kubeconfig': await client(`system:node:${node.name}`, 'system:nodes'),
      ...(await pair(
        'kubelet',
        authority.issue({
          commonName: `system:node:${node.name}`,
          organization: 'system:nodes',
          dnsNames: [node.name],
          ipAddresses: [node.address],
        }),
      )),
    });
  }
  return {
    admin: await client('kubernetes-admin', 'system:masters'),
    filesOf: (node) => nodeFiles.get(node.name) ?? {},
  };
}
