// The Services of the host that an operator has shown under names of the cluster: watched one by one, by rights that name them.
import { objectKey, SERVICES } from '../../kube/resource.ts';
import { createStore, type Store } from '../../kube/store.ts';
import type { LocalCopies } from '../engine/local-copies.ts';
import { clusterIpsOf } from '../kinds/services/kind.ts';
import type { Service } from '../objects.ts';
import type { DnsRules } from './rules.ts';

/** The addresses of the host Service that has this name; undefined when none has. */
export type HostServiceAddresses = (name: string) => readonly string[] | undefined;

export function followHostServices(
  rules: Pick<DnsRules, 'hostServices'>,
  copies: Pick<LocalCopies, 'follow'>,
): HostServiceAddresses {
  const watched = new Map<string, Store<Service>>();
  const byName = new Map<string, Store<Service>>();
  for (const { name, service } of rules.hostServices) {
    const key = objectKey(service);
    const store = watched.get(key) ?? createStore<Service>();
    byName.set(name, store);
    if (watched.has(key)) continue;
    watched.set(key, store);
    const selection = { namespace: service.namespace, fieldSelector: `metadata.name=${service.name}` };
    copies.follow(SERVICES, store, () => {}, selection);
  }
  return (name) => byName.get(name)?.list().flatMap(clusterIpsOf);
}
