// A translation context over plain lists of virtual objects, for tests of translators.
import { type KubeObject, keyOf, objectKey } from '../../src/kube/resource.ts';
import type { Reference, TranslationContext } from '../../src/syncer/kind.ts';
import { hostName } from '../../src/syncer/names.ts';
import type {
  ConfigMap,
  IngressClass,
  Namespace,
  NetworkPolicy,
  Node,
  PersistentVolume,
  RuntimeClass,
  Secret,
  Service,
} from '../../src/syncer/objects.ts';

export interface VirtualObjects {
  services?: readonly Service[];
  namespaces?: readonly Namespace[];
  configMaps?: readonly ConfigMap[];
  secrets?: readonly Secret[];
  persistentVolumes?: readonly PersistentVolume[];
  hostAddresses?: readonly string[];
  networkPolicies?: readonly NetworkPolicy[];
  workloadAddresses?: readonly string[];
  ingressClasses?: readonly IngressClass[];
  markedNodes?: readonly Node[];
  runtimeClasses?: readonly RuntimeClass[];
}

export function translationContext(
  objects: VirtualObjects = {},
  overrides: Partial<TranslationContext> = {},
): TranslationContext {
  const { services = [], namespaces = [], configMaps = [], secrets = [], hostAddresses = [] } = objects;
  const {
    markedNodes = [],
    networkPolicies = [],
    workloadAddresses = [],
    ingressClasses = [],
    runtimeClasses = [],
    persistentVolumes = [],
  } = objects;
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
    api: { clusterIp: '10.96.0.10', port: 443 },
    dns: { clusterIp: '10.96.0.11', domain: 'cluster.local' },
    workloadServiceAccount: 'vc-workload',
    network: { isolated: true, deniedCidrs: [], controlPlaneAddresses: ['10.244.0.2'] },
    sync: {
      ingresses: { annotations: [], hosts: [] },
      httpRoutes: { gateways: ['infra/public'], hosts: [] },
      ingressClasses: ['*'],
      nodes: { mode: 'used', selector: {} },
      runtimeClasses: [],
      priorityClasses: [],
      serviceAccounts: { enabled: false, annotations: [] },
      configMaps: 'referenced',
      secrets: 'referenced',
      fromHost: { configMaps: [], secrets: [] },
      customResources: [],
    },
    hostsImage: 'example/mayfly:1',
    storeUid: 'store-1',
    hostName: (type, name) => hostName('vc', type.plural, name),
    nameInside: () => undefined,
    services: (namespace) => services.filter(({ metadata }) => metadata.namespace === namespace),
    service: (name) => services.find((service) => keyOf(service) === objectKey(name)),
    namespacesWith: (matches) =>
      namespaces
        .filter(({ metadata }) => matches(metadata.labels ?? {}))
        .map(({ metadata }) => metadata.name ?? ''),
    find: <T extends KubeObject>({ type, ...name }: Reference) => {
      const objects: Record<string, readonly KubeObject[]> = {
        services,
        configmaps: configMaps,
        secrets,
        persistentvolumes: persistentVolumes,
        runtimeclasses: runtimeClasses,
      };
      return objects[type.plural]?.find((object) => keyOf(object) === objectKey(name)) as T | undefined;
    },
    dataKeys: ({ type, ...name }) => {
      const objects: readonly (ConfigMap | Secret)[] = type.plural === 'secrets' ? secrets : configMaps;
      return Object.keys(objects.find((object) => keyOf(object) === objectKey(name))?.data ?? {});
    },
    markedNodes: () => markedNodes,
    isHostAddress: (address) => hostAddresses.includes(address),
    networkPolicies: (namespace) =>
      networkPolicies.filter(({ metadata }) => metadata.namespace === namespace),
    ingressClass: (name) => ingressClasses.find(({ metadata }) => metadata.name === name),
    workloadAddresses: () => workloadAddresses,
    ...overrides,
  };
}
