// The two Secrets that hold the certificates and the administrator's kubeconfig, as objects: built here, stored by others.
import { stringify } from 'yaml';
import type { KubeObject, OwnerReference } from '../kube/resource.ts';
import type { CertificateFiles } from './certificates.ts';

export interface Secret extends KubeObject {
  type?: string;
  /** Base64. */
  data?: Record<string, string>;
}

export interface SecretOptions {
  cluster: string;
  namespace: string;
  name: string;
  /** The anchor of the chart, so that the Secret goes when the cluster does. */
  owner?: OwnerReference;
}

/** The key of the kubeconfig in its Secret. */
export const KUBECONFIG_KEY = 'config';

export function certificatesSecretName(cluster: string): string {
  return `${cluster}-certificates`;
}

export function kubeconfigSecretName(cluster: string): string {
  return `${cluster}-kubeconfig`;
}

/** Where clients on the host find the API server. */
export function clusterServer({ cluster, namespace }: { cluster: string; namespace: string }): string {
  return `https://${cluster}.${namespace}.svc:443`;
}

export function createSecret(options: SecretOptions, files: Readonly<Record<string, string>>): Secret {
  const { cluster, namespace, name, owner } = options;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      name,
      namespace,
      // Not the label of synced objects: the syncer deletes what carries that and has no virtual counterpart.
      labels: { 'app.kubernetes.io/name': 'virtual-cluster', 'app.kubernetes.io/instance': cluster },
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
    },
    data: Object.fromEntries(
      Object.entries(files).map(([file, content]) => [file, Buffer.from(content).toString('base64')]),
    ),
  };
}

export function secretFiles(secret: Secret): CertificateFiles {
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([file, content]) => [
      file,
      Buffer.from(content, 'base64').toString('utf8'),
    ]),
  );
}

export interface KubeconfigOptions {
  /** Name of cluster, user and context. */
  name: string;
  /** `https://host:port`. */
  server: string;
}

/** A kubeconfig (v1) with the administrator's client certificate inside. */
export function adminKubeconfig(
  files: Readonly<CertificateFiles>,
  { name, server }: KubeconfigOptions,
): string {
  const base64 = (file: string) => Buffer.from(files[file] ?? '').toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      {
        name,
        cluster: {
          server,
          'certificate-authority-data': base64('ca.crt'),
        },
      },
    ],
    users: [
      {
        name,
        user: { 'client-certificate-data': base64('admin.crt'), 'client-key-data': base64('admin.key') },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
  });
}
