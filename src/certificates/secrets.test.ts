import { expect, test } from 'vitest';
import { connectionFromKubeconfig } from '../kube/kubeconfig.ts';
import {
  adminKubeconfig,
  certificatesSecretName,
  clusterServer,
  createSecret,
  secretFiles,
} from './secrets.ts';

const place = { cluster: 'pr-17', namespace: 'previews' };
const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'pr-17-anchor', uid: 'u-1' };

test('stores files in a secret that the anchor owns, and reads them back', () => {
  const files = { 'ca.crt': 'certificate\n', 'ca.key': 'schlüssel' };
  const secret = createSecret({ ...place, name: certificatesSecretName('pr-17'), owner }, files);
  expect(secret.metadata).toMatchObject({
    name: 'pr-17-certificates',
    namespace: 'previews',
    ownerReferences: [owner],
  });
  expect(secretFiles(secret)).toEqual(files);
});

test('does not mark its secrets as synced objects, which the syncer would delete', () => {
  const { labels = {} } = createSecret({ ...place, name: 'pr-17-kubeconfig' }, {}).metadata;
  expect(Object.keys(labels).filter((label) => label.includes('mayfly.dev'))).toEqual([]);
});

test('builds a kubeconfig that clients read as a connection with the administrator’s certificate', () => {
  const files = { 'ca.crt': 'authority', 'admin.crt': 'certificate', 'admin.key': 'key', 'ca.key': 'secret' };
  const text = adminKubeconfig(files, { name: 'pr-17', server: clusterServer(place) });
  expect(connectionFromKubeconfig(text)).toMatchObject({
    server: 'https://pr-17.previews.svc:443',
    ca: 'authority',
    cert: 'certificate',
    key: 'key',
  });
  expect(text).not.toContain(Buffer.from('secret').toString('base64'));
});
