// Waiting for a state of collections by watching them, without polling.
import type { KubeClient } from '../src/kube/client.ts';
import { createReflector, type Reflector } from '../src/kube/reflector.ts';
import type { KubeObject, ResourceType } from '../src/kube/resource.ts';
import { createStore, withoutManagedFields } from '../src/kube/store.ts';
import type { Logger } from '../src/lib/logger.ts';

export interface CollectionWatcher {
  /** The objects of a collection as they are now; to be asked for before `until` is called. */
  follow<T extends KubeObject>(
    type: ResourceType,
    selection?: { namespace?: string; fieldSelector?: string; labelSelector?: string },
  ): () => readonly T[];
  /**
   * Evaluates when all collections were listed, and after changes from then on, until it yields something.
   * Resolves with that, or with undefined when `timeoutMs` have passed; rejects with the signal's reason.
   */
  until<R>(
    evaluate: () => R | undefined,
    options: { timeoutMs: number; signal: AbortSignal },
  ): Promise<R | undefined>;
}

/** Changes that come together are looked at together. */
const SETTLE_MS = 20;

/** For one wait. */
export function createCollectionWatcher(client: KubeClient, logger: Logger): CollectionWatcher {
  const reflectors: Reflector[] = [];
  let changed = Promise.withResolvers<void>();
  const onChange = () => changed.resolve();

  return {
    follow<T extends KubeObject>(type: ResourceType, selection = {}) {
      const store = createStore<T>({ transform: withoutManagedFields });
      reflectors.push(createReflector<T>({ client, type, ...selection, store, logger, onChange }));
      return () => store.list();
    },

    async until(evaluate, { timeoutMs, signal }) {
      const stop = new AbortController();
      const limit = AbortSignal.timeout(timeoutMs);
      const watching = AbortSignal.any([signal, limit, stop.signal]);
      const aborted = new Promise<void>((resolve) => {
        watching.addEventListener('abort', () => resolve(), { once: true });
      });
      const running = reflectors.map((reflector) => reflector.run(watching));
      try {
        await Promise.all(reflectors.map((reflector) => reflector.synced(watching)));
        while (!watching.aborted) {
          changed = Promise.withResolvers<void>();
          const result = evaluate();
          if (result !== undefined) return result;
          await Promise.race([changed.promise, aborted]);
          await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
        }
        signal.throwIfAborted();
        return undefined;
      } catch (error) {
        signal.throwIfAborted();
        if (limit.aborted) return undefined;
        throw error;
      } finally {
        stop.abort();
        await Promise.all(running);
      }
    },
  };
}
