// Decides whether GitHub sent a delivery. Runs on the raw bytes, before anything looks inside them.
import { Webhooks } from '@octokit/webhooks';
import { UnauthenticatedError } from '../lib/errors.ts';

/** GitHub sends nothing larger (docs.github.com, "Webhook events and payloads": payloads are capped at 25 MB). */
export const MAX_DELIVERY_BYTES = 25 * 1024 * 1024;

const SIGNATURE = /^sha256=[0-9a-f]{64}$/;

export interface SignedDelivery {
  /** The body as it arrived. */
  body: Uint8Array;
  /** Value of `X-Hub-Signature-256`. */
  signature: string | undefined;
}

/**
 * Resolves when the body was signed with one of `secrets` (several while a secret is being rotated).
 * @throws UnauthenticatedError with code `SignatureMissing` or `SignatureMismatch`; says nothing about which secret.
 */
export async function verifyDelivery(
  { body, signature }: SignedDelivery,
  secrets: readonly string[],
): Promise<void> {
  if (signature === undefined || signature === '') {
    throw new UnauthenticatedError({
      code: 'SignatureMissing',
      message: 'the delivery carries no X-Hub-Signature-256',
    });
  }
  const text =
    body.byteLength <= MAX_DELIVERY_BYTES && SIGNATURE.test(signature) ? exactText(body) : undefined;
  if (text !== undefined && text !== '') {
    for (const secret of secrets) {
      if (secret !== '' && (await new Webhooks({ secret }).verify(text, signature))) return;
    }
  }
  throw new UnauthenticatedError({
    code: 'SignatureMismatch',
    message: 'the signature of the delivery does not match its body',
  });
}

/** The verifier takes a string: only bytes that are exactly the encoding of one may be handed to it. */
function exactText(body: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return undefined;
  }
}
