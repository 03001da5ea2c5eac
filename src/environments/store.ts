// The environments as they are now, kept up to date by a watch: for whoever is asked often or wants to be told.
import type { KubeClient } from '../kube/client.ts';
import { createReflector, type ReflectorMetrics } from '../kube/reflector.ts';
import { type Change, createStore } from '../kube/store.ts';
import type { Logger } from '../lib/logger.ts';
import { previewHostLabel } from './names.ts';
import { ENVIRONMENTS, type Environment } from './resource.ts';

export type EnvironmentListener = (change: Change<Environment>) => void;

export interface EnvironmentStore {
  /** Follows the environments until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves once all are known; rejects with the signal's reason. */
  synced(signal: AbortSignal): Promise<void>;
  hasSynced(): boolean;
  get(name: string): Environment | undefined;
  list(): readonly Environment[];
  /** The environment whose preview has this first label in its host name, published or not yet. */
  byHostLabel(hostLabel: string): Environment | undefined;
  /** Tells of every change after the store has it. @returns a function that ends it. */
  subscribe(listener: EnvironmentListener): () => void;
}

export interface EnvironmentStoreDeps {
  client: Pick<KubeClient, 'list' | 'watch'>;
  namespace: string;
  logger: Logger;
  metrics?: ReflectorMetrics;
}

const BY_HOST_LABEL = 'byHostLabel';

export function createEnvironmentStore({
  client,
  namespace,
  logger,
  metrics,
}: EnvironmentStoreDeps): EnvironmentStore {
  const store = createStore<Environment>({ indexers: { [BY_HOST_LABEL]: hostLabels } });
  const listeners = new Set<EnvironmentListener>();
  const reflector = createReflector<Environment>({
    client,
    type: ENVIRONMENTS,
    namespace,
    store,
    logger,
    metrics,
    onChange(change) {
      for (const listener of [...listeners]) listener(change);
    },
  });

  return {
    run: (signal) => reflector.run(signal),
    synced: (signal) => reflector.synced(signal),
    hasSynced: () => reflector.hasSynced(),
    get: (name) => store.get(`${namespace}/${name}`),
    list: () => store.list(),
    byHostLabel: (hostLabel) => store.byIndex(BY_HOST_LABEL, hostLabel)[0],
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The main label is known from the start, so that who comes early is told to wait. */
function hostLabels({ metadata, status }: Environment): readonly string[] {
  const main = previewHostLabel(metadata.name ?? '', metadata.uid ?? '');
  return [...new Set([main, ...(status?.endpoints ?? []).map(({ hostLabel }) => hostLabel)])];
}
