// What the API answers to an update is the object's newest state, known before the watch tells of it: who waits for the watch writes
// onto an old version, is refused and starts again.
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject, ResourceType } from '../../kube/resource.ts';

/** The same client, whose answers to updates are told before the caller has them. */
export function tellingOwnWrites(
  client: KubeClient,
  tell: (type: ResourceType, written: KubeObject) => void,
): KubeClient {
  return {
    ...client,
    async update(type, object, options) {
      const written = await client.update(type, object, options);
      tell(type, written);
      return written;
    },
  };
}
