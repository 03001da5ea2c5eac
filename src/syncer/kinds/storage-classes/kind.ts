// The host's StorageClasses inside: enough to choose one and to know what it does.
import { STORAGE_CLASSES } from '../../../kube/resource.ts';
import { dictionary, fields, list, scalar } from '../../allow-list.ts';
import type { StorageClass } from '../../objects.ts';
import { hostClass } from '../host-class.ts';
import { isShownNodeLabel } from '../nodes/labels.ts';

/** What a volume is like. All other parameters are between the administrator and his driver: servers, users, secrets. */
const PARAMETERS = new Set(['csi.storage.k8s.io/fstype', 'fsType', 'fstype', 'type']);

type Topology = NonNullable<StorageClass['allowedTopologies']>[number];
type TopologyExpression = NonNullable<Topology['matchLabelExpressions']>[number];

const topology = fields<Topology>({
  matchLabelExpressions: list(fields<TopologyExpression>({ key: scalar, values: list(scalar) })),
});

export const storageClasses = hostClass<StorageClass>({
  type: STORAGE_CLASSES,
  annotations: [
    'storageclass.kubernetes.io/is-default-class',
    'storageclass.beta.kubernetes.io/is-default-class',
  ],
  copy: fields<StorageClass>({
    provisioner: scalar,
    parameters: (parameters) =>
      dictionary(Object.fromEntries(Object.entries(parameters).filter(([key]) => PARAMETERS.has(key)))),
    reclaimPolicy: scalar,
    volumeBindingMode: scalar,
    allowVolumeExpansion: scalar,
    allowedTopologies: (terms) => (terms.every(isTold) ? list(topology)(terms) : undefined),
  }),
});

/** Whether nodes show inside what the term is about. */
function isTold({ matchLabelExpressions = [] }: Topology): boolean {
  return matchLabelExpressions.every(({ key }) => isShownNodeLabel(key));
}
