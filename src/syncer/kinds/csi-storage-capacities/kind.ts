// CSIStorageCapacities inside: how much room the host's storage classes have, and where. On the host they stand in the namespaces
// of their drivers, which are no namespaces of this cluster, so all of them are in kube-system here.
import { CSI_STORAGE_CAPACITIES } from '../../../kube/resource.ts';
import { createStore } from '../../../kube/store.ts';
import { defined, dictionary, fields, list, scalar } from '../../allow-list.ts';
import type { UpwardKind } from '../../engine/upward.ts';
import type { CsiStorageCapacity, LabelSelector } from '../../objects.ts';
import { copyOf, INDEX } from '../../stores.ts';
import { isShownNodeLabel } from '../nodes/labels.ts';

const NAMESPACE = 'kube-system';

type Expression = NonNullable<LabelSelector['matchExpressions']>[number];

const copy = fields<CsiStorageCapacity>({
  storageClassName: scalar,
  capacity: scalar,
  maximumVolumeSize: scalar,
  nodeTopology: fields<LabelSelector>({
    matchLabels: dictionary,
    matchExpressions: list(fields<Expression>({ key: scalar, operator: scalar, values: list(scalar) })),
  }),
});

/** The uid is as unique as the name and its namespace, and tells neither. */
function nameInside({ metadata }: CsiStorageCapacity): string {
  return `csisc-${metadata.uid}`;
}

export const csiStorageCapacities: UpwardKind<CsiStorageCapacity> = {
  type: CSI_STORAGE_CAPACITIES,
  isHostWide: true,
  isReplaced: true,
  createStore: (side) =>
    createStore<CsiStorageCapacity>(
      side === 'host'
        ? { indexers: { [INDEX.byVirtualKey]: (object) => [`${NAMESPACE}/${nameInside(object)}`] } }
        : {},
    ),
  lingerMs: 0,
  observes: [
    {
      side: 'host',
      type: CSI_STORAGE_CAPACITIES,
      keys: (object) => [`${NAMESPACE}/${nameInside(object as CsiStorageCapacity)}`],
    },
    {
      side: 'virtual',
      type: CSI_STORAGE_CAPACITIES,
      keys: ({ metadata }) => [`${metadata.namespace}/${metadata.name}`],
    },
  ],
  source(key, { pairs }) {
    const [host] = copyOf<CsiStorageCapacity>(pairs, CSI_STORAGE_CAPACITIES).host.byIndex(
      INDEX.byVirtualKey,
      key,
    );
    return host && isTold(host) ? host : undefined;
  },
  toVirtual: (host, virtual) =>
    defined({
      apiVersion: virtual?.apiVersion,
      kind: virtual?.kind,
      ...copy(host),
      metadata: { ...virtual?.metadata, namespace: NAMESPACE, name: nameInside(host) },
    }),
};

/** Whether nodes show inside what it is about. */
function isTold({ nodeTopology }: CsiStorageCapacity): boolean {
  const { matchLabels = {}, matchExpressions = [] } = nodeTopology ?? {};
  return [...Object.keys(matchLabels), ...matchExpressions.map(({ key }) => key)].every(isShownNodeLabel);
}
