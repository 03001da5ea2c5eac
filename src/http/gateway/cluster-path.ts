// Which part of a request's target names an environment, and which goes to the API server inside: decided once, on the raw
// target, and only for targets that nobody can read in two ways.
import { environmentName } from '../../api/environment.ts';

const PREFIX = '/v1/environments/';
const PATH = /^\/v1\/environments\/([^/]+)\/cluster(\/[^?]*)?(\?.*)?$/s;
/** Kubernetes paths need no more: unreserved characters, `:` of port names, and percent-encoded ones that are not of these. */
const CANONICAL_SEGMENT = /^(?:[\w.~:@!$&'()*+,=-]|%[0-9A-Fa-f]{2})+$/;
/** Encoded slash, backslash, dot, percent sign, and control characters. */
const AMBIGUOUS_ESCAPE = /%(?:2f|5c|2e|25|0.|1.|7f)/i;
const QUERY = /^\?[\x21-\x7e]*$/;

export type ClusterPath =
  | { kind: 'none' }
  /** Meant for a virtual cluster, in a form that is refused. */
  | { kind: 'refused' }
  /** `target` is what the API server of the environment is asked for, query included. */
  | { kind: 'cluster'; name: string; target: string };

/** @param target the request target as it was sent. */
export function clusterPath(target: string): ClusterPath {
  if (!target.startsWith(PREFIX)) return { kind: 'none' };
  const match = PATH.exec(target);
  if (!match) return { kind: 'none' };
  const [, name = '', path = '/', query = ''] = match;
  const isCanonical = path === '/' || path.slice(1).replace(/\/$/, '').split('/').every(isCanonicalSegment);
  if (!environmentName.safeParse(name).success || !isCanonical || (query !== '' && !QUERY.test(query))) {
    return { kind: 'refused' };
  }
  return { kind: 'cluster', name, target: path + query };
}

function isCanonicalSegment(segment: string): boolean {
  return (
    segment !== '.' && segment !== '..' && CANONICAL_SEGMENT.test(segment) && !AMBIGUOUS_ESCAPE.test(segment)
  );
}
