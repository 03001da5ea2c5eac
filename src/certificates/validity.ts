// When a certificate is to be renewed. Apart from what makes certificates, whose libraries a running syncer does without.
import { X509Certificate } from 'node:crypto';

/** A certificate is renewed when less than this part of its life is left. */
const RENEWAL_PART = 1 / 3;

export function nearsItsEnd(certificate: X509Certificate, now: Date): boolean {
  return renewalMs(certificate) < now.getTime();
}

/** When the first of these certificates (PEM) is to be renewed, in milliseconds since the epoch. */
export function firstRenewalMs(certificates: readonly string[]): number {
  return Math.min(...certificates.map((pem) => renewalMs(new X509Certificate(pem))));
}

function renewalMs({ validFromDate, validToDate }: X509Certificate): number {
  const endMs = validToDate.getTime();
  return endMs - (endMs - validFromDate.getTime()) * RENEWAL_PART;
}
