// A translation context over plain lists of virtual objects, for tests of translators.
import { keyOf, objectKey } from '../../src/kube/resource.ts';
import type { TranslationContext } from '../../src/syncer/kind.ts';
import { hostName } from '../../src/syncer/names.ts';
import type { ConfigMap, Namespace, Node, Secret, Service } from '../../src/syncer/objects.ts';

export interface VirtualObjects {
  services?: readonly Service[];
  namespaces?: readonly Namespace[];
  configMaps?: readonly ConfigMap[];
  secrets?: readonly Secret[];
  hostAddresses?: readonly string[];
  markedNodes?: readonly Node[];
}

export function translationContext(
  objects: VirtualObjects = {},
  overrides: Partial<TranslationContext> = {},
): TranslationContext {
  const { services = [], namespaces = [], configMaps = [], secrets = [] } = objects;
  const { hostAddresses = [], markedNodes = [] } = objects;
  return {
    cluster: 'vc',
    hostNamespace: 'host-ns',
    owner: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: 'vc-anchor',
      uid: 'anchor-uid',
      blockOwnerDeletion: false,
    },
    profile: 'baseline',
    nodes: { mode: 'used' },
    api: { clusterIp: '10.96.0.10', port: 443 },
    dns: { clusterIp: '10.96.0.11', domain: 'cluster.local' },
    workloadServiceAccount: 'vc-workload',
    storeUid: 'store-1',
    hostName: (type, name) => hostName('vc', type.plural, name),
    services: (namespace) => services.filter(({ metadata }) => metadata.namespace === namespace),
    service: (name) => services.find((service) => keyOf(service) === objectKey(name)),
    namespacesWith: (matches) =>
      namespaces
        .filter(({ metadata }) => matches(metadata.labels ?? {}))
        .map(({ metadata }) => metadata.name ?? ''),
    dataKeys: ({ type, ...name }) => {
      const objects: readonly (ConfigMap | Secret)[] = type.plural === 'secrets' ? secrets : configMaps;
      return Object.keys(objects.find((object) => keyOf(object) === objectKey(name))?.data ?? {});
    },
    markedNodes: () => markedNodes,
    isHostAddress: (address) => hostAddresses.includes(address),
    ...overrides,
  };
}
