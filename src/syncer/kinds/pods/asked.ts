// What was asked of the host for a pod, in a few characters on the host pod: a webhook of the host may have given it other images
// or resources, and that is no reason to ask again. Only a change inside is.
import { createHash } from 'node:crypto';
import { ANNOTATION_ASKED_IMAGES, ANNOTATION_ASKED_RESOURCES } from '../../names.ts';
import type { Container, Pod } from '../../objects.ts';

const DIGEST_LENGTH = 16;

export function askedAnnotations({ spec }: Pod): Record<string, string> {
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  return {
    [ANNOTATION_ASKED_IMAGES]: digest(containers.map(({ name, image }) => [name, image])),
    [ANNOTATION_ASKED_RESOURCES]: digest(containers.map(amountsOf)),
  };
}

export function askedForImages(host: Pod, wanted: Record<string, string> = {}): boolean {
  return isSame(host, wanted, ANNOTATION_ASKED_IMAGES);
}

export function askedForResources(host: Pod, wanted: Record<string, string> = {}): boolean {
  return isSame(host, wanted, ANNOTATION_ASKED_RESOURCES);
}

function isSame({ metadata }: Pod, wanted: Record<string, string>, annotation: string): boolean {
  return wanted[annotation] !== undefined && metadata.annotations?.[annotation] === wanted[annotation];
}

function amountsOf({ name, resources: { requests = {}, limits = {} } = {} }: Container) {
  return [name, Object.entries(requests).toSorted(), Object.entries(limits).toSorted()];
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, DIGEST_LENGTH);
}
