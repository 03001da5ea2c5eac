// AdmissionReview (admission.k8s.io/v1) in and out, and how a refusal of the host is told inside.
import { isNamespaceTerminating, isRetryable, KubeError } from '../../kube/errors.ts';
import { ConflictError, errorMessage, InvalidInputError, UnavailableError } from '../../lib/errors.ts';
import { OF_THE_SYNCER } from '../host-text.ts';
import type { PatchOperation, ServiceRequest } from './reservation.ts';

export interface AdmissionReview {
  apiVersion: 'admission.k8s.io/v1';
  kind: 'AdmissionReview';
  response: {
    uid: string;
    allowed: boolean;
    patchType?: 'JSONPatch';
    /** Base64 of the JSON. */
    patch?: string;
    status?: { code: number; message: string; reason: string };
  };
}

/** @throws InvalidInputError when the body is no review of a Service. */
export function parseReview(body: string): ServiceRequest {
  try {
    const request: unknown = JSON.parse(body)?.request;
    if (isServiceRequest(request)) return request;
  } catch (cause) {
    throw new InvalidInputError({ code: 'InvalidReview', message: 'the body is not JSON', cause });
  }
  throw new InvalidInputError({ code: 'InvalidReview', message: 'the body is not a review of a Service' });
}

function isServiceRequest(value: unknown): value is ServiceRequest {
  if (typeof value !== 'object' || value === null) return false;
  const { uid, operation, object, kind } = value as Partial<Record<string, unknown>>;
  const isService = typeof kind === 'object' && kind !== null && 'kind' in kind && kind.kind === 'Service';
  const hasMetadata = typeof object === 'object' && object !== null && 'metadata' in object;
  return typeof uid === 'string' && typeof operation === 'string' && isService && hasMetadata;
}

export function allowed({ uid }: ServiceRequest, patch: readonly PatchOperation[]): AdmissionReview {
  const patched =
    patch.length > 0
      ? { patchType: 'JSONPatch' as const, patch: Buffer.from(JSON.stringify(patch)).toString('base64') }
      : {};
  return review({ uid, allowed: true, ...patched });
}

/** A Service that the host does not give is refused in the host's words, under the name it has inside. */
export function denied({ uid, object }: ServiceRequest, error: unknown): AdmissionReview {
  const { name, generateName = '' } = object.metadata;
  return review({ uid, allowed: false, status: statusOf(error, name ?? generateName) });
}

const RESERVATION_NAME = /[a-z0-9-]+-reserved-[0-9a-f]{12}/g;

function statusOf(error: unknown, name: string): AdmissionReview['response']['status'] {
  if (error instanceof ConflictError) return { code: 409, reason: 'Conflict', message: error.message };
  if (error instanceof UnavailableError || isRetryable(error)) {
    return {
      code: 503,
      reason: 'ServiceUnavailable',
      message: 'the host cluster cannot give an address or a port now; try again',
    };
  }
  if (isNamespaceTerminating(error)) {
    return { code: 403, reason: 'Forbidden', message: 'this virtual cluster is being deleted on the host' };
  }
  if (error instanceof KubeError && !OF_THE_SYNCER.test(error.message)) {
    const message = `the host cluster refuses: ${errorMessage(error).replace(RESERVATION_NAME, name)}`;
    return { code: error.status, reason: error.code, message };
  }
  return {
    code: 500,
    reason: 'InternalError',
    message: 'the syncer cannot reserve an address or a port on the host',
  };
}

function review(response: AdmissionReview['response']): AdmissionReview {
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response };
}
