// The changes of one environment as they come, for one reader. Who reads slowly misses what is in between, never the newest.
import type { Environment } from '../environments/resource.ts';
import type { EnvironmentStore } from '../environments/store.ts';

export interface EnvironmentChange {
  type: 'environment' | 'deleted';
  environment: Environment;
}

/**
 * Listens from now on until the signal aborts, so that nothing is missed between reading an environment and following it.
 * The returned function yields what is newest of that environment, then each change; it ends after its deletion.
 */
export function openEnvironmentFeed(
  store: Pick<EnvironmentStore, 'get' | 'subscribe'>,
  name: string,
  signal: AbortSignal,
): (first: Environment) => AsyncGenerator<EnvironmentChange> {
  let pending: EnvironmentChange | undefined;
  let wake = Promise.withResolvers<void>();
  const unsubscribe = store.subscribe((change) => {
    const environment = change.type === 'deleted' ? change.previous : change.object;
    if (environment.metadata.name !== name) return;
    pending = { type: change.type === 'deleted' ? 'deleted' : 'environment', environment };
    wake.resolve();
  });
  const onAbort = () => {
    unsubscribe();
    wake.resolve();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();

  return async function* follow(first) {
    const { uid } = first.metadata;
    const isSame = (other: Environment | undefined) => other?.metadata.uid === uid;
    const known = store.get(name);
    if (!isSame(pending?.environment)) {
      pending = { type: 'environment', environment: known && isSame(known) ? known : first };
    }
    while (!signal.aborted) {
      const change = pending;
      pending = undefined;
      if (change && !isSame(change.environment)) return;
      if (change) yield change;
      if (change?.type === 'deleted') return;
      if (pending) continue;
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  };
}
