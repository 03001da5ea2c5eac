// CSINodes of the nodes that are shown inside: which drivers they have and how many volumes they take.
import { CSI_NODES, NODES } from '../../../kube/resource.ts';
import { defined, fields, list, scalar } from '../../allow-list.ts';
import { ANNOTATION_FROM_HOST } from '../../names.ts';
import type { CsiNode } from '../../objects.ts';
import { hostClass } from '../host-class.ts';
import { isShownNodeLabel } from '../nodes/labels.ts';

type Driver = CsiNode['spec']['drivers'][number];

const allocatable = fields<NonNullable<Driver['allocatable']>>({ count: scalar });

function driverOf({ name, topologyKeys, allocatable: room }: Driver, node: string): Driver {
  return defined({
    name,
    // What the driver calls the node is the machine's name with its cloud.
    nodeID: node,
    topologyKeys: topologyKeys?.filter(isShownNodeLabel),
    allocatable: room && allocatable(room),
  });
}

export const csiNodes = hostClass<CsiNode>({
  type: CSI_NODES,
  // On the wire, a node without drivers has a null for their list.
  copy: ({ metadata: { name = '' }, spec }) => ({
    spec: fields<CsiNode['spec']>({ drivers: list((driver) => driverOf(driver, name)) })(spec),
  }),
  isShown({ metadata: { name = '' } }, { stores }) {
    const node = stores.virtual.nodes.get(name);
    return node?.metadata.annotations?.[ANNOTATION_FROM_HOST] === 'true';
  },
  observes: [{ side: 'virtual', type: NODES, keys: ({ metadata }) => [metadata.name ?? ''] }],
});
