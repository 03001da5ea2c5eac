// Custom resources of the host that are shown inside, to be read: cluster-scoped ones, or those of one namespace.
import { keyOf, objectKey, parseKey } from '../../../kube/resource.ts';
import { createStore } from '../../../kube/store.ts';
import { defined } from '../../allow-list.ts';
import type { UpwardKind } from '../../engine/upward.ts';
import type { CustomResourceFromHost } from '../../kind.ts';
import { copyOf } from '../../stores.ts';
import { type Custom, statusInside, typeOf } from './to-host.ts';

export function customResourceFromHost(resource: CustomResourceFromHost): UpwardKind<Custom> {
  const { namespace, statusBack } = resource;
  const type = typeOf(resource, namespace !== undefined);
  return {
    type,
    isOptional: true,
    hostNamespace: namespace?.from,
    createStore: () => createStore<Custom>(),
    lingerMs: 0,
    observes: [
      {
        side: 'host',
        type,
        keys: ({ metadata: { name = '' } }) => [objectKey({ namespace: namespace?.to, name })],
      },
      { side: 'virtual', type, keys: (changed) => [keyOf(changed)] },
    ],
    source(key, { pairs }) {
      const inside = parseKey(key);
      if (inside.namespace !== namespace?.to) return undefined;
      return copyOf<Custom>(pairs, type).host.get(objectKey({ ...inside, namespace: namespace?.from }));
    },
    toVirtual: (host, virtual) =>
      defined({
        apiVersion: virtual?.apiVersion,
        kind: virtual?.kind,
        metadata: { ...virtual?.metadata, namespace: namespace?.to, name: host.metadata.name },
        spec: host.spec,
        status: statusBack ? statusInside(host, virtual, (text) => text, true) : virtual?.status,
      }),
  };
}
