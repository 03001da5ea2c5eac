// The runner's access to Environments on the API server.
import { ENVIRONMENTS, type Environment, TEARDOWN_FINALIZER } from '../src/environments/resource.ts';
import type { EnvironmentStore } from '../src/environments/store.ts';
import type { KubeClient } from '../src/kube/client.ts';
import { isNotFound } from '../src/kube/errors.ts';
import type { EnvironmentAccess } from './runner.ts';

export interface EnvironmentAccessDeps {
  client: KubeClient;
  namespace: string;
  store: Pick<EnvironmentStore, 'subscribe'>;
}

export function createEnvironmentAccess({
  client,
  namespace,
  store,
}: EnvironmentAccessDeps): EnvironmentAccess {
  async function setFinalizers(
    { metadata }: Environment,
    finalizers: string[],
    signal: AbortSignal,
  ): Promise<Environment> {
    const { name = '', uid, resourceVersion } = metadata;
    const body = { metadata: { uid, resourceVersion, finalizers } };
    return client.patch<Environment>(ENVIRONMENTS, { namespace, name }, { type: 'merge', body }, { signal });
  }

  return {
    async read(name, signal) {
      try {
        return await client.get<Environment>(ENVIRONMENTS, { namespace, name }, { signal });
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },

    writeStatus: (environment, signal) =>
      client.update<Environment>(ENVIRONMENTS, environment, { subresource: 'status', signal }),

    async addFinalizer(environment, signal) {
      const finalizers = environment.metadata.finalizers ?? [];
      if (finalizers.includes(TEARDOWN_FINALIZER)) return environment;
      return setFinalizers(environment, [...finalizers, TEARDOWN_FINALIZER], signal);
    },

    async removeFinalizer(environment, signal) {
      const left = (environment.metadata.finalizers ?? []).filter((each) => each !== TEARDOWN_FINALIZER);
      await setFinalizers(environment, left, signal);
    },

    subscribe: (name, listener) =>
      store.subscribe((change) => {
        if (change.type !== 'deleted' && change.object.metadata.name === name) listener(change.object);
      }),
  };
}
