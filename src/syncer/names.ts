// How virtual objects are named and marked on the host. A name is readable, at most 63 characters long and free of
// collisions; whose an object is, is decided by its annotations and never by its name.
import { createHash } from 'node:crypto';
import type { ObjectKey, ObjectMeta, ObjectName, ResourceType } from '../kube/resource.ts';
import { objectKey } from '../kube/resource.ts';

/** Who the syncer is to an API server when it applies objects. */
export const FIELD_MANAGER = 'mayfly-syncer';

/** On every host object: the virtual cluster it belongs to. */
export const LABEL_CLUSTER = 'mayfly.dev/cluster';
/** On host objects of namespaced kinds: the namespace inside. Selectors on the host hold it. */
export const LABEL_NAMESPACE = 'mayfly.dev/virtual-namespace';

/** On host pods that no network policy inside isolates, for each direction. The chart's policies select by them. */
export const LABEL_OPEN_INGRESS = 'mayfly.dev/open-ingress';
export const LABEL_OPEN_EGRESS = 'mayfly.dev/open-egress';

export const ANNOTATION_NAME = 'mayfly.dev/virtual-name';
export const ANNOTATION_NAMESPACE = 'mayfly.dev/virtual-namespace';
/** The owner: the uid of the virtual object. Checked before a host object is adopted, updated or deleted. */
export const ANNOTATION_UID = 'mayfly.dev/virtual-uid';
/** The uid of the virtual `kube-system`: which store the owner lives in. */
export const ANNOTATION_STORE = 'mayfly.dev/store-uid';
/** On copies with annotations that the operator lets through: their keys. */
export const ANNOTATION_PASSED = 'mayfly.dev/passed-annotations';
/**
 * On copies of custom resources, and on their definitions inside: a hash of the spec that was last written, which tells what others
 * added from what we wrote.
 */
export const ANNOTATION_SPEC_HASH = 'mayfly.dev/spec-hash';
/** On virtual objects that the syncer made because the host has them: only these it removes again. */
export const ANNOTATION_FROM_HOST = 'mayfly.dev/from-host';
/** On a virtual Node: which of its labels and taints the host has given it; all others are the tenant's own. */
export const ANNOTATION_HOST_FIELDS = 'mayfly.dev/host-fields';
/** On a host Service made by admission before its virtual Service exists: when (RFC 3339). */
export const ANNOTATION_RESERVED_AT = 'mayfly.dev/reserved-at';
/** On a host Service that admission has changed for an update that may yet be refused: the virtual version before that update. */
export const ANNOTATION_AHEAD_OF = 'mayfly.dev/ahead-of';
/** On a host Secret of ServiceAccount tokens: the virtual pod (`namespace/name`) that mounts it. */
export const ANNOTATION_TOKENS_OF = 'mayfly.dev/tokens-of';
/** On a host Secret of ServiceAccount tokens: when the first of them is to be renewed (RFC 3339). */
export const ANNOTATION_RENEW_AT = 'mayfly.dev/renew-at';
/** The node that the tokens of a Secret name. */
export const ANNOTATION_TOKENS_NODE = 'mayfly.dev/tokens-node';
/** On host pods whose downward API asks for it: the ServiceAccount inside. */
export const ANNOTATION_SERVICE_ACCOUNT = 'mayfly.dev/service-account';
/** On host pods, for downward API volumes: all virtual labels and all virtual annotations, in the kubelet's format. */
export const ANNOTATION_ALL_LABELS = 'mayfly.dev/virtual-labels';
export const ANNOTATION_ALL_ANNOTATIONS = 'mayfly.dev/virtual-annotations';
/** On host pods: digests of the images and resources that they were last asked to have. */
export const ANNOTATION_ASKED_IMAGES = 'mayfly.dev/asked-images';
export const ANNOTATION_ASKED_RESOURCES = 'mayfly.dev/asked-resources';

const LABEL_PREFIX = 'l.mayfly.dev/';
const ANNOTATION_PREFIX = 'a.mayfly.dev/';
const OWN_KEY = /^([a-z]+\.)?mayfly\.dev\//;

const NAME_LENGTH = 63;
const HASH_LENGTH = 10;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** Ten base32 characters (50 bits) of SHA-256 over length-prefixed parts, so that no two lists of parts read alike. */
function hash(...parts: readonly string[]): string {
  const digest = createHash('sha256')
    .update(parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join(''))
    .digest();
  let characters = '';
  for (let bit = 0; characters.length < HASH_LENGTH; bit += 5) {
    const pair = digest.readUInt16BE(bit >> 3);
    characters += BASE32[(pair >> (11 - (bit & 7))) & 31];
  }
  return characters;
}

function readable(text: string, allowed: RegExp): string {
  return text
    .replace(allowed, '-')
    .slice(0, NAME_LENGTH - HASH_LENGTH - 1)
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/gi, '');
}

function withHash(text: string, suffix: string): string {
  return text ? `${text}-${suffix}` : suffix;
}

/**
 * The name of a host object: `<name>-<namespace>-<cluster>-<hash>`, a valid DNS label whenever the virtual name is a
 * valid object name (a Service keeps its leading letter).
 */
export function hostName(cluster: string, plural: string, { namespace = '', name }: ObjectName): string {
  const text = [name, namespace, cluster].filter(Boolean).join('-').toLowerCase();
  return withHash(readable(text, /[^a-z0-9-]/g), hash(cluster, plural, namespace, name));
}

/** Names in text that `hostName` may have made. */
export const HOST_NAMES = /(?<![A-Za-z0-9-])[a-z0-9][a-z0-9-]*-[a-z2-7]{10}(?![A-Za-z0-9-])/g;

/** The host key of a virtual pod label; the value is kept. */
export function hostLabelKey(key: string): string {
  return LABEL_PREFIX + withHash(readable(key, /[^a-z0-9._-]/gi), hash(key));
}

/** The host key of a virtual annotation that a downward API field of the pod asks for; the value is kept. */
export function hostAnnotationKey(key: string): string {
  return ANNOTATION_PREFIX + withHash(readable(key, /[^a-z0-9._-]/gi), hash(key));
}

/** Whether a label or annotation key on the host is one of ours; all others belong to the host and are left alone. */
export function isOwnKey(key: string): boolean {
  return OWN_KEY.test(key);
}

/** Labels that select the host pods of one virtual namespace, or of the whole virtual cluster. */
export function placeLabels(cluster: string, namespace: string | undefined): Record<string, string> {
  return namespace
    ? { [LABEL_CLUSTER]: cluster, [LABEL_NAMESPACE]: namespace }
    : { [LABEL_CLUSTER]: cluster };
}

/** The key of the virtual object a host object stands for; undefined for host objects that mirror nothing. */
export function virtualKeyOf({ annotations }: ObjectMeta): ObjectKey | undefined {
  const name = annotations?.[ANNOTATION_NAME];
  return name === undefined ? undefined : objectKey({ namespace: annotations?.[ANNOTATION_NAMESPACE], name });
}

/** A kind in one word, `pods` or `endpointslices.discovery.k8s.io`: keys, index values and metrics use it. */
export type KindId = string;

export function kindId({ group, plural }: Pick<ResourceType, 'group' | 'plural'>): KindId {
  return group ? `${plural}.${group}` : plural;
}

/** What the work queue and the reference index hold: `<kind>|<namespace/name>`. A kind holds no `|`. */
export type KindKey = string;

export function kindKey(type: Pick<ResourceType, 'group' | 'plural'>, key: ObjectKey): KindKey {
  return `${kindId(type)}|${key}`;
}

export function parseKindKey(key: KindKey): { kind: KindId; key: ObjectKey } {
  const bar = key.indexOf('|');
  return { kind: key.slice(0, bar), key: key.slice(bar + 1) };
}
