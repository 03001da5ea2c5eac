// Everything a virtual control plane authenticates with, as one record of files: made at first, and kept fit for use later.
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  type Authority,
  createAuthority,
  createLeaf,
  createSigningKeys,
  type PemPair,
  readAuthority,
  renewAuthority,
  type Validity,
} from './issue.ts';
import {
  type AuthorityPlan,
  type ClusterIdentity,
  isIpAddress,
  type LeafPlan,
  planAuthorities,
  planLeaves,
  SERVICE_ACCOUNT_PRIVATE_KEY,
  SERVICE_ACCOUNT_PUBLIC_KEY,
} from './plan.ts';
import { nearsItsEnd } from './validity.ts';

/** File name (`ca.crt`, `apiserver.key`, ...) to PEM: the data of the Secret `<cluster>-certificates`. */
export type CertificateFiles = Record<string, string>;

export interface CertificateRequest extends ClusterIdentity {
  now: Date;
  /** Life of the leaf certificates, the admin's among them. */
  lifetimeMs: number;
}

const AUTHORITY_LIFETIME_MS = 10 * 365 * 24 * 60 * 60_000;

/** Makes every file anew, in some tens of milliseconds. */
export function createCertificates(request: CertificateRequest): Promise<CertificateFiles> {
  return renewCertificates({}, request);
}

/**
 * Keeps what is fit for use and makes what is missing, near its end, unreadable, of another authority, or without a name of the
 * request. Authorities and the key that signs ServiceAccount tokens keep their keys, so everything issued before stays valid.
 * @returns an equal record when nothing had to change.
 */
export async function renewCertificates(
  existing: Readonly<CertificateFiles>,
  request: CertificateRequest,
): Promise<CertificateFiles> {
  const files: CertificateFiles = {};
  const authorities = new Map<string, Authority>();
  for (const plan of planAuthorities(request)) {
    const authority = await keepAuthority(plan, existing, request.now);
    authorities.set(plan.name, authority);
    Object.assign(files, pairFiles(plan.name, authority.pem));
  }
  const leaves = planLeaves(request).map(async (plan) => {
    const authority = authorities.get(plan.authority);
    if (authority === undefined) throw new Error(`no authority ${plan.authority} is planned`);
    const kept = pairOf(plan.name, existing);
    const usable = kept !== undefined && isUsableLeaf(kept, plan, authority, request.now);
    return pairFiles(plan.name, usable ? kept : await createLeaf(plan, authority, validityOf(request)));
  });
  return Object.assign(files, ...(await Promise.all(leaves)), await keepSigningKeys(existing));
}

async function keepAuthority(
  plan: AuthorityPlan,
  existing: Readonly<CertificateFiles>,
  now: Date,
): Promise<Authority> {
  const validity = { nowMs: now.getTime(), lifetimeMs: AUTHORITY_LIFETIME_MS };
  const kept = pairOf(plan.name, existing);
  const certificate = kept && attempt(() => new X509Certificate(kept.public));
  if (!kept || !certificate?.ca || !hasKey(certificate, kept.private)) return createAuthority(plan, validity);
  const authority = await readAuthority(kept);
  return nearsItsEnd(certificate, now) ? renewAuthority(authority, validity) : authority;
}

function isUsableLeaf(pair: PemPair, plan: LeafPlan, authority: Authority, now: Date): boolean {
  const certificate = attempt(() => new X509Certificate(pair.public));
  if (certificate === undefined || !hasKey(certificate, pair.private)) return false;
  const issuer = new X509Certificate(authority.pem.public);
  return (
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey) &&
    !nearsItsEnd(certificate, now) &&
    plan.names.every((name) => answersTo(certificate, name))
  );
}

function answersTo(certificate: X509Certificate, name: string): boolean {
  if (isIpAddress(name)) return certificate.checkIP(name) !== undefined;
  return certificate.checkHost(name.replace(/^\*/, 'any')) !== undefined;
}

async function keepSigningKeys(existing: Readonly<CertificateFiles>): Promise<CertificateFiles> {
  const kept = {
    public: existing[SERVICE_ACCOUNT_PUBLIC_KEY],
    private: existing[SERVICE_ACCOUNT_PRIVATE_KEY],
  };
  const keys = isKeyPair(kept) ? kept : await createSigningKeys();
  return { [SERVICE_ACCOUNT_PUBLIC_KEY]: keys.public, [SERVICE_ACCOUNT_PRIVATE_KEY]: keys.private };
}

function isKeyPair(pair: Partial<PemPair>): pair is PemPair {
  const derived = attempt(() => createPublicKey(pair.private ?? '').export({ format: 'jwk' }));
  const given = attempt(() => createPublicKey(pair.public ?? '').export({ format: 'jwk' }));
  return derived !== undefined && isDeepStrictEqual(derived, given);
}

function hasKey(certificate: X509Certificate, privateKey: string): boolean {
  return attempt(() => certificate.checkPrivateKey(createPrivateKey(privateKey))) ?? false;
}

function pairOf(name: string, files: Readonly<CertificateFiles>): PemPair | undefined {
  const certificate = files[`${name}.crt`];
  const key = files[`${name}.key`];
  return certificate === undefined || key === undefined ? undefined : { public: certificate, private: key };
}

function pairFiles(name: string, pair: PemPair): CertificateFiles {
  return { [`${name}.crt`]: pair.public, [`${name}.key`]: pair.private };
}

function validityOf({ now, lifetimeMs }: CertificateRequest): Validity {
  return { nowMs: now.getTime(), lifetimeMs };
}

/** What cannot be parsed counts as absent. */
function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
