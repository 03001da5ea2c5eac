import { createPrivateKey, createPublicKey, sign, verify, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, connect as tlsConnect } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type CertificateFiles,
  type CertificateRequest,
  createCertificates,
  renewCertificates,
} from './certificates.ts';
import { FILES_BY_CONTAINER } from './plan.ts';

const DAY_MS = 24 * 60 * 60_000;
const request: CertificateRequest = {
  cluster: 'pr-17',
  namespace: 'mayfly-shop-pr-17',
  serviceIps: ['10.96.12.34', 'fd00::1234'],
  extraNames: ['api.example.com', '*.clusters.example.com', '192.0.2.7'],
  now: new Date('2026-03-01T12:00:00Z'),
  lifetimeMs: 90 * DAY_MS,
};

let files: CertificateFiles;
beforeAll(async () => {
  files = await createCertificates(request);
});

function certificate(name: string, of: CertificateFiles = files): X509Certificate {
  return new X509Certificate(of[`${name}.crt`] ?? '');
}

function later(days: number, changes: Partial<CertificateRequest> = {}): CertificateRequest {
  return { ...request, now: new Date(request.now.getTime() + days * DAY_MS), ...changes };
}

function changedFiles(before: CertificateFiles, after: CertificateFiles): string[] {
  return Object.keys(after).filter((name) => before[name] !== after[name]);
}

describe('createCertificates', () => {
  test('makes every file that a container of the control plane is given', () => {
    expect(Object.keys(files)).toEqual(expect.arrayContaining(Object.values(FILES_BY_CONTAINER).flat()));
    expect(Object.values(files).every((pem) => pem.startsWith('-----BEGIN '))).toBe(true);
  });

  test.each([
    'apiserver',
    'apiserver-kubelet-client',
    'controller-manager',
    'syncer',
    'admin',
    'webhook',
    'kubelet',
  ])('signs %s by the cluster’s authority, with the key beside it', (name) => {
    const leaf = certificate(name);
    expect(leaf.checkIssued(certificate('ca')) && leaf.verify(certificate('ca').publicKey)).toBe(true);
    expect(leaf.checkPrivateKey(createPrivateKey(files[`${name}.key`] ?? ''))).toBe(true);
    expect(leaf.ca).toBe(false);
  });

  test('signs the front proxy by an authority of its own, which signs no user', () => {
    const leaf = certificate('front-proxy-client');
    expect(leaf.verify(certificate('front-proxy-ca').publicKey)).toBe(true);
    expect(leaf.verify(certificate('ca').publicKey)).toBe(false);
    expect(certificate('front-proxy-ca').ca).toBe(true);
  });

  test('names users and groups as Kubernetes reads them', () => {
    expect(certificate('admin').subject.split('\n')).toEqual(['O=system:masters', 'CN=mayfly:admin']);
    expect(certificate('controller-manager').subject).toContain('CN=system:kube-controller-manager');
    expect(certificate('apiserver-kubelet-client').subject).toBe('CN=kube-apiserver-kubelet-client');
  });

  test.each([
    'kubernetes.default.svc.cluster.local',
    'kubernetes',
    'localhost',
    'pr-17.mayfly-shop-pr-17.svc',
    'pr-17',
    'api.example.com',
    'pr-1.clusters.example.com',
  ])('lets the API server answer as %s', (name) => {
    expect(certificate('apiserver').checkHost(name)).toBeDefined();
  });

  test.each(['127.0.0.1', '10.96.12.34', 'fd00::1234', '192.0.2.7'])(
    'lets the API server answer at %s',
    (address) => {
      expect(certificate('apiserver').checkIP(address)).toBe(address);
    },
  );

  test('separates what may serve from what may call', () => {
    expect(certificate('apiserver').keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(certificate('admin').keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
  });

  test('is valid two hours back, for clocks that differ, and as long as asked', () => {
    expect(certificate('admin').validFromDate.toISOString()).toBe('2026-03-01T10:00:00.000Z');
    expect(certificate('admin').validToDate.getTime() - request.now.getTime()).toBe(request.lifetimeMs);
  });

  test('lets no certificate outlive its authority', async () => {
    const long = await createCertificates({ ...request, lifetimeMs: 20 * 365 * DAY_MS });
    expect(certificate('admin', long).validToDate).toEqual(certificate('ca', long).validToDate);
  });

  test('makes a key pair for ServiceAccount tokens', () => {
    const signature = sign('sha256', Buffer.from('token'), files['service-account.key'] ?? '');
    const publicKey = createPublicKey(files['service-account.pub'] ?? '');
    expect(verify('sha256', Buffer.from('token'), publicKey, signature)).toBe(true);
  });

  test('shares no key between two clusters', async () => {
    const other = await createCertificates(request);
    expect(changedFiles(files, other)).toEqual(Object.keys(files));
    expect(certificate('admin', other).verify(certificate('ca').publicKey)).toBe(false);
  });

  test('carries a TLS connection with certificates on both ends', async () => {
    const now = { ...request, now: new Date() };
    const fresh = await createCertificates(now);
    const server = createServer({
      key: fresh['apiserver.key'],
      cert: fresh['apiserver.crt'],
      ca: fresh['ca.crt'],
      requestCert: true,
      rejectUnauthorized: true,
    });
    server.on('secureConnection', (socket) =>
      socket.end(new X509Certificate(socket.getPeerCertificate().raw).subject),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = tlsConnect({
      host: '127.0.0.1',
      port,
      ca: fresh['ca.crt'],
      key: fresh['admin.key'],
      cert: fresh['admin.crt'],
    });
    const received = await client.setEncoding('utf8').toArray();
    server.close();
    expect(received.join('')).toContain('CN=mayfly:admin');
  });
});

describe('renewCertificates', () => {
  test('changes nothing while everything is fit for use', async () => {
    expect(await renewCertificates(files, later(50))).toEqual(files);
  });

  test('renews leaves in the last third of their life and keeps authorities and token keys', async () => {
    const renewed = await renewCertificates(files, later(65));
    const changed = changedFiles(files, renewed);
    expect(changed).toContain('apiserver.crt');
    expect(changed).toContain('admin.key');
    expect(changed.filter((name) => /^(front-proxy-)?ca\.|^service-account/.test(name))).toEqual([]);
    expect(certificate('admin', renewed).verify(certificate('ca').publicKey)).toBe(true);
  });

  test('adds an address to the API server’s certificate alone', async () => {
    const renewed = await renewCertificates(files, later(1, { serviceIps: ['10.96.99.99'] }));
    expect(changedFiles(files, renewed)).toEqual(['apiserver.crt', 'apiserver.key']);
    expect(certificate('apiserver', renewed).checkIP('10.96.99.99')).toBe('10.96.99.99');
  });

  test.each([
    ['missing', undefined],
    ['unreadable', 'not a certificate'],
  ])('makes one that is %s again', async (_, content) => {
    const damaged: CertificateFiles = { ...files };
    if (content === undefined) delete damaged['syncer.crt'];
    else damaged['syncer.crt'] = content;
    const renewed = await renewCertificates(damaged, later(1));
    expect(changedFiles(files, renewed)).toEqual(['syncer.crt', 'syncer.key']);
  });

  test('refuses a leaf of another authority', async () => {
    const other = await createCertificates(request);
    const mixed = {
      ...files,
      'admin.crt': other['admin.crt'] ?? '',
      'admin.key': other['admin.key'] ?? '',
    };
    const renewed = await renewCertificates(mixed, later(1));
    expect(certificate('admin', renewed).verify(certificate('ca').publicKey)).toBe(true);
  });

  test('extends an authority near its end under the same key, so that both sides keep trusting each other', async () => {
    const nearTheEnd = later(3650 - 100);
    const renewed = await renewCertificates(files, nearTheEnd);
    expect(renewed['ca.crt']).not.toBe(files['ca.crt']);
    expect(renewed['ca.key']).toBe(files['ca.key']);
    expect(certificate('ca', renewed).validToDate.getTime()).toBeGreaterThan(
      nearTheEnd.now.getTime() + 9 * 365 * DAY_MS,
    );
    // Who holds the old authority trusts new leaves; who holds the new one trusts old leaves.
    expect(certificate('apiserver', renewed).checkIssued(certificate('ca'))).toBe(true);
    expect(certificate('apiserver', renewed).verify(certificate('ca').publicKey)).toBe(true);
    expect(certificate('admin').verify(certificate('ca', renewed).publicKey)).toBe(true);
  });

  test('starts over when the authority’s key is lost', async () => {
    const renewed = await renewCertificates({ ...files, 'ca.key': '' }, later(1));
    expect(changedFiles(files, renewed)).toEqual(
      expect.arrayContaining(['ca.crt', 'ca.key', 'apiserver.crt', 'admin.crt']),
    );
    expect(certificate('admin', renewed).verify(certificate('ca', renewed).publicKey)).toBe(true);
  });

  test('replaces token keys that do not belong together', async () => {
    const other = await createCertificates(request);
    const renewed = await renewCertificates(
      { ...files, 'service-account.pub': other['service-account.pub'] ?? '' },
      later(1),
    );
    expect(changedFiles(files, renewed)).toEqual(['service-account.pub', 'service-account.key']);
  });
});
