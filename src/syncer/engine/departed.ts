// The last that was seen of host objects which are gone. A kubelet reports how a pod ended and deletes it right after: who
// looks only at what is there would miss the end.
import type { KubeObject } from '../../kube/resource.ts';
import type { KindKey } from '../names.ts';

/** Beyond, the oldest is forgotten: its virtual object then goes with the status it has. */
const REMEMBERED = 1_000;

export interface Departed {
  left(key: KindKey, last: KubeObject): void;
  get(key: KindKey): KubeObject | undefined;
  forget(key: KindKey): void;
}

export function createDeparted(): Departed {
  const objects = new Map<KindKey, KubeObject>();
  return {
    left(key, last) {
      objects.delete(key);
      objects.set(key, last);
      const [oldest] = objects.keys();
      if (objects.size > REMEMBERED && oldest !== undefined) objects.delete(oldest);
    },
    get: (key) => objects.get(key),
    forget: (key) => void objects.delete(key),
  };
}
