// Every name that is derived from an environment: its own, its host namespace's, its previews' host labels.
// Pure and stable, so that a step that runs again meets what it made before.
import { stableHash } from '../lib/stable-hash.ts';
import type { PullRequestSource } from './resource.ts';

/**
 * The environment's name is also its virtual cluster's name and the name of a host Service, so it is a DNS label that
 * begins with a letter (RFC 1035, as Service names must), short enough for the names built from it.
 */
const ENVIRONMENT_NAME_MAX_LENGTH = 40;
const ENVIRONMENT_NAME_PATTERN = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

/** Of `expose[].name`: leaves room for the preview's host label, and `--` stays the separator. */
const EXPOSE_NAME_MAX_LENGTH = 20;
const EXPOSE_NAME_PATTERN = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

const HASH_LENGTH = 8;
const UNGUESSABLE_LENGTH = 10;
const READABLE_LABEL_LENGTH = 30;

export function isEnvironmentName(name: string): boolean {
  return name.length <= ENVIRONMENT_NAME_MAX_LENGTH && ENVIRONMENT_NAME_PATTERN.test(name);
}

/** `xn` is refused because `xn--…` announces a punycode label. */
export function isExposeName(name: string): boolean {
  return (
    name.length <= EXPOSE_NAME_MAX_LENGTH &&
    EXPOSE_NAME_PATTERN.test(name) &&
    !name.includes('--') &&
    name !== 'xn'
  );
}

/** The names to try for the environment of a pull request, in order; the second one only meets itself. */
export function pullRequestEnvironmentNames({
  repository,
  repositoryId,
  number,
}: Pick<PullRequestSource, 'repository' | 'repositoryId' | 'number'>): readonly [string, string] {
  const readable = labelFrom(repository.slice(repository.indexOf('/') + 1));
  const hash = stableHash(['pull-request', String(repositoryId), String(number)], HASH_LENGTH);
  return [withSuffix(readable, String(number)), withSuffix(readable, `${number}-${hash}`)];
}

/** A name for an environment that was given none. `uniqueness` is random bytes in base32 or the like. */
export function generatedEnvironmentName(uniqueness: string): string {
  return withSuffix('env', uniqueness);
}

/** Derived from the UID: a recreated environment never meets its predecessor's namespace, and a kill leaks none. */
export function hostNamespaceName(environmentName: string, uid: string): string {
  return `mayfly-${environmentName}-${stableHash(['host-namespace', uid], HASH_LENGTH)}`;
}

/**
 * The first label of the preview's host name: readable, plus 50 bits that nobody can guess, because they come from the UID,
 * which is random and never shown to those who get no access to the host. `exposeName` is empty for the main preview.
 */
export function previewHostLabel(environmentName: string, uid: string, exposeName = ''): string {
  const readable = environmentName.slice(0, READABLE_LABEL_LENGTH).replace(/-+$/, '');
  const main = `${readable}-${stableHash(['preview', uid], UNGUESSABLE_LENGTH)}`;
  return exposeName ? `${exposeName}--${main}` : main;
}

function labelFrom(text: string): string {
  const label = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return /^[a-z]/.test(label) ? label : ['env', label].filter(Boolean).join('-');
}

function withSuffix(readable: string, suffix: string): string {
  const cut = readable.slice(0, ENVIRONMENT_NAME_MAX_LENGTH - suffix.length - 1).replace(/-+$/, '');
  return `${cut}-${suffix}`;
}
