// The synced kind ConfigMap: on the host exactly while a synced object refers to it, or always by option.
import { CONFIG_MAPS } from '../../../kube/resource.ts';
import { defined, dictionary } from '../../allow-list.ts';
import { mergeMetadata, type SyncedKind } from '../../kind.ts';
import type { ConfigMap } from '../../objects.ts';

export const configMaps: SyncedKind<ConfigMap> = {
  type: CONFIG_MAPS,
  when: ({ configMaps }) => (configMaps === 'all' ? 'always' : 'referenced'),
  // `immutable` stays inside: a map may be made anew there while its host copy is still in use.
  toHost: ({ data, binaryData }) =>
    defined({
      metadata: {},
      data: data && dictionary(data),
      binaryData: binaryData && dictionary(binaryData),
    }),
  merge: (host, { metadata, data, binaryData }) => ({
    ...host,
    metadata: mergeMetadata(host.metadata, metadata),
    data,
    binaryData,
  }),
};
