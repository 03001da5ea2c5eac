// Keys and X.509 certificates: ECDSA P-256 throughout, PEM in and out. Knows nothing of Kubernetes.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  type Name,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { type AuthorityPlan, isIpAddress, type LeafPlan } from './plan.ts';

type KeyPair = webcrypto.CryptoKeyPair;

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' };

/** Certificates are valid from before they are made, for clocks that differ or are set back; by no more than their life. */
const BACKDATE_MS = 2 * 60 * 60_000;

/** A certificate or public key and the private key to it, each as PEM (`CERTIFICATE`, `PUBLIC KEY`; PKCS #8 `PRIVATE KEY`). */
export interface PemPair {
  public: string;
  private: string;
}

export interface Validity {
  /** Milliseconds since the epoch. */
  nowMs: number;
  lifetimeMs: number;
}

export interface Authority {
  certificate: X509Certificate;
  signingKey: webcrypto.CryptoKey;
  pem: PemPair;
}

/** A key pair that signs tokens: no certificate. */
export async function createSigningKeys(): Promise<PemPair> {
  const keys = await generateKeys();
  const spki = await webcrypto.subtle.exportKey('spki', keys.publicKey);
  return { public: PemConverter.encode(spki, 'PUBLIC KEY'), private: await privatePem(keys) };
}

export async function createAuthority(plan: AuthorityPlan, validity: Validity): Promise<Authority> {
  return selfSign(await generateKeys(), [{ O: [plan.organization] }, { CN: [plan.commonName] }], validity);
}

/** The same authority for longer: key and name are kept, so what it signed stays valid under the new certificate. */
export async function renewAuthority(authority: Authority, validity: Validity): Promise<Authority> {
  const publicKey = await authority.certificate.publicKey.export(KEY_ALGORITHM, ['verify'], webcrypto);
  return selfSign(
    { publicKey, privateKey: authority.signingKey },
    authority.certificate.subjectName,
    validity,
  );
}

export async function readAuthority(pem: PemPair): Promise<Authority> {
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    PemConverter.decodeFirst(pem.private),
    KEY_ALGORITHM,
    true,
    ['sign'],
  );
  return { certificate: new X509Certificate(pem.public), signingKey, pem };
}

export async function createLeaf(plan: LeafPlan, authority: Authority, validity: Validity): Promise<PemPair> {
  const keys = await generateKeys();
  const usage = plan.usage === 'client' ? ExtendedKeyUsage.clientAuth : ExtendedKeyUsage.serverAuth;
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([usage]),
    await AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey, false, webcrypto),
  ];
  if (plan.names.length > 0) {
    const names = plan.names.map((value) => ({ type: isIpAddress(value) ? 'ip' : 'dns', value }) as const);
    extensions.push(new SubjectAlternativeNameExtension(names));
  }
  const certificate = await X509CertificateGenerator.create(
    {
      subject: [
        ...(plan.organization === undefined ? [] : [{ O: [plan.organization] }]),
        { CN: [plan.commonName] },
      ],
      issuer: authority.certificate.subjectName,
      ...period(validity, authority.certificate.notAfter),
      publicKey: keys.publicKey,
      signingKey: authority.signingKey,
      signingAlgorithm: SIGNING_ALGORITHM,
      extensions,
    },
    webcrypto,
  );
  return { public: certificate.toString('pem'), private: await privatePem(keys) };
}

async function selfSign(keys: KeyPair, name: JsonName | Name, validity: Validity): Promise<Authority> {
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name,
      ...period(validity),
      keys,
      signingAlgorithm: SIGNING_ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(
          KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign,
          true,
        ),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const pem = { public: certificate.toString('pem'), private: await privatePem(keys) };
  return { certificate, signingKey: keys.privateKey, pem };
}

/** No certificate outlives the one that signs it. */
function period({ nowMs, lifetimeMs }: Validity, latest?: Date): { notBefore: Date; notAfter: Date } {
  const endMs = Math.min(nowMs + lifetimeMs, latest?.getTime() ?? Number.POSITIVE_INFINITY);
  return { notBefore: new Date(nowMs - Math.min(BACKDATE_MS, lifetimeMs)), notAfter: new Date(endMs) };
}

function generateKeys(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
}

async function privatePem({ privateKey }: KeyPair): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', privateKey), 'PRIVATE KEY');
}
