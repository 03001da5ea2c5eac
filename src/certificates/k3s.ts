// What k3s finds in its folder `server/tls` at its first start: authorities under its own names, and what only we know by then.
// It makes all other certificates itself (https://docs.k3s.io/cli/certificate).
import { createHash, X509Certificate } from 'node:crypto';
import { stringify } from 'yaml';
import type { CertificateFiles } from './certificates.ts';
import { SERVICE_ACCOUNT_PRIVATE_KEY } from './plan.ts';

/** Those of an etcd have to be there although there is none. */
const AUTHORITIES = {
  'server-ca': 'ca',
  'client-ca': 'ca',
  'request-header-ca': 'front-proxy-ca',
  'etcd/peer-ca': 'ca',
  'etcd/server-ca': 'ca',
};

/** @throws Error when a file is missing. */
export function k3sFiles(files: Readonly<CertificateFiles>): CertificateFiles {
  const content = (name: string) => {
    const found = files[name];
    if (found === undefined) throw new Error(`there is no certificate file ${name}`);
    return found;
  };
  const authorities = Object.entries(AUTHORITIES).flatMap(([name, ours]) =>
    ['crt', 'key'].map((type) => [`${name}.${type}`, content(`${ours}.${type}`)]),
  );
  const { subjectAltName = '' } = new X509Certificate(content('apiserver.crt'));
  const names = subjectAltName.split(', ').map((name) => name.replace(/^(DNS|IP Address):/, ''));
  return {
    ...Object.fromEntries(authorities),
    'service.key': content(SERVICE_ACCOUNT_PRIVATE_KEY),
    // k3s encrypts authorities in its store with it, and must know it again after a restart.
    token: createHash('sha256').update(content(SERVICE_ACCOUNT_PRIVATE_KEY)).digest('hex'),
    'config.yaml': stringify({ 'tls-san': names }),
  };
}
