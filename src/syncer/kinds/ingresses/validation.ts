// What an Ingress must not have where one controller serves many tenants.
import { requireHost } from '../../host-patterns.ts';
import { RefusedError, type SyncOptions } from '../../kind.ts';
import type { IngressSpec } from '../../objects.ts';

/** Controllers have written paths into their configuration as they were: no character that would end one there. */
const UNSAFE_PATH = /[\s"{}\p{Cc}]/u;

/** @throws RefusedError */
export function requireFitForHost(
  { defaultBackend, rules = [], tls = [] }: IngressSpec,
  { hosts }: Pick<SyncOptions['ingresses'], 'hosts'>,
): void {
  if (defaultBackend?.resource) throw resourceBackend('spec.defaultBackend');
  const isLimited = hosts.length > 0;
  if (isLimited && defaultBackend) requireHost('spec.defaultBackend', undefined, hosts);
  rules.forEach(({ host, http }, index) => {
    const at = `spec.rules[${index}]`;
    if (isLimited) requireHost(`${at}.host`, host, hosts);
    http?.paths.forEach(({ path, backend }, item) => {
      const where = `${at}.http.paths[${item}]`;
      if (backend.resource) throw resourceBackend(`${where}.backend`);
      if (path && UNSAFE_PATH.test(path)) {
        throw new RefusedError(
          'UnsafePath',
          `${where}.path: holds white space, control characters, quotes or braces`,
        );
      }
    });
  });
  if (!isLimited) return;
  tls.forEach(({ hosts: names = [] }, index) => {
    if (names.length === 0) requireHost(`spec.tls[${index}].hosts`, undefined, hosts);
    for (const name of names) requireHost(`spec.tls[${index}].hosts`, name, hosts);
  });
}

function resourceBackend(path: string): RefusedError {
  return new RefusedError('UnsupportedField', `${path}.resource: only Services are backends on the host`);
}
