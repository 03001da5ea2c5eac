// Which store the virtual API serves: the uid of `kube-system`. An empty or replaced store shows no objects either, and must
// never be taken for a user who deleted everything.
import type { KubeClient } from '../../kube/client.ts';
import { isNotFound } from '../../kube/errors.ts';
import { NAMESPACES } from '../../kube/resource.ts';
import type { ReadStore } from '../../kube/store.ts';
import { MayflyError, UnavailableError } from '../../lib/errors.ts';
import type { Namespace } from '../objects.ts';

const IDENTITY = { name: 'kube-system' };

/** The host holds objects of another store than the one that the virtual API serves now. */
export class StoreReplacedError extends MayflyError {
  constructor(hostStoreUid: string | undefined, virtualStoreUid: string | undefined) {
    super({
      code: 'StoreReplaced',
      message:
        `the host holds objects of the store ${hostStoreUid ?? '(unknown)'}, ` +
        `but the virtual API serves ${virtualStoreUid ?? 'none'}: nothing of them is changed or deleted`,
    });
  }
}

export interface StoreIdentity {
  /** As the local copy has it. @throws UnavailableError while there is no `kube-system`. */
  current(): string;
  /**
   * Asks the virtual API, after the call and not before, whether it still serves the store `uid`. Calls that wait share a request.
   * @throws StoreReplacedError when it does not.
   */
  confirm(uid: string | undefined, signal: AbortSignal): Promise<void>;
}

export function createStoreIdentity({
  client,
  namespaces,
}: {
  client: Pick<KubeClient, 'get'>;
  namespaces: ReadStore<Namespace>;
}): StoreIdentity {
  let running: Promise<string | undefined> | undefined;
  let waiting: Promise<string | undefined> | undefined;

  async function ask(signal: AbortSignal): Promise<string | undefined> {
    try {
      const { metadata } = await client.get<Namespace>(NAMESPACES, IDENTITY, { signal });
      return metadata.uid;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** A request that already runs may have been answered before what the caller saw; the next one has not. */
  function askAnew(signal: AbortSignal): Promise<string | undefined> {
    waiting ??= (async () => {
      await running?.catch(() => undefined);
      running = waiting;
      waiting = undefined;
      return ask(signal);
    })();
    return waiting;
  }

  return {
    current() {
      const uid = namespaces.get(IDENTITY.name)?.metadata.uid;
      if (uid) return uid;
      throw new UnavailableError({
        code: 'NoStoreIdentity',
        message: 'the virtual cluster has no kube-system yet',
      });
    },
    async confirm(uid, signal) {
      const served = await askAnew(signal);
      if (uid === undefined || served !== uid) throw new StoreReplacedError(uid, served);
    },
  };
}
