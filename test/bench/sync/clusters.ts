// The two sides that are measured: a virtual cluster, and the host namespace that its objects are copied to. Ours is installed for
// the run; any other is named by its kubeconfigs, and its copies are found by a pattern over their names.
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { createReflector } from '../../../src/kube/reflector.ts';
import { type KubeObject, NAMESPACES, type ResourceType } from '../../../src/kube/resource.ts';
import { type Change, createStore } from '../../../src/kube/store.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { createTestNamespace } from '../../support/host-cluster.ts';
import { installVirtualCluster } from '../../support/virtual-cluster.ts';

export interface ClustersOptions {
  /** Paths of kubeconfigs. Without them, the project's own chart is installed on the host cluster of tests. */
  virtual?: string;
  host?: string;
  /** Where the copies are. */
  hostNamespace?: string;
  /** Matches a copy's name; its group `name` is the name inside. */
  pattern?: string;
}

export interface Clusters extends AsyncDisposable {
  virtual: ClusterAccess;
  /** Where the benchmark works inside; goes with the run. */
  namespace: string;
  host: ClusterAccess;
  hostNamespace: string;
  /** The name inside of a host object; undefined when it is no copy of the benchmark's. */
  nameInside(hostName: string): string | undefined;
}

/** `<name>-<namespace>-…` is what Mayfly and vcluster begin their names with (vcluster puts an `x` between). */
const DEFAULT_PATTERN = '^(?<name>bench-[a-z]+-[0-9]+)-';

const INSTALL_VALUES = {
  // What is measured is the syncer, not what a quota holds back.
  'isolation.profile': 'none',
};

export async function openClusters(options: ClustersOptions): Promise<Clusters> {
  await using opened = new AsyncDisposableStack();
  const pattern = new RegExp(options.pattern ?? DEFAULT_PATTERN);
  const host = await clusterAccess(options.host);
  opened.defer(() => host.client.close());
  const { virtual, hostNamespace } = await virtualSide(options, host, opened);
  const call = () => ({ signal: AbortSignal.timeout(60_000) });
  const namespace = `bench-${randomBytes(3).toString('hex')}`;
  await virtual.client.create(NAMESPACES, { metadata: { name: namespace } }, call());
  opened.defer(() => virtual.client.delete(NAMESPACES, { name: namespace }, call()));
  const stack = opened.move();
  return {
    virtual,
    namespace,
    host,
    hostNamespace,
    nameInside: (hostName) => pattern.exec(hostName)?.groups?.name,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function virtualSide(
  { virtual: kubeconfig, hostNamespace }: ClustersOptions,
  host: ClusterAccess,
  opened: AsyncDisposableStack,
): Promise<{ virtual: ClusterAccess; hostNamespace: string }> {
  if (kubeconfig !== undefined) {
    if (hostNamespace === undefined) throw new Error('--virtual needs --host-namespace');
    const virtual = await clusterAccess(kubeconfig);
    opened.defer(() => virtual.client.close());
    return { virtual, hostNamespace };
  }
  const place = await createTestNamespace('bench-sync');
  opened.defer(() => place.remove());
  const cluster = await installVirtualCluster({
    host,
    namespace: place.namespace,
    name: 'bench',
    values: INSTALL_VALUES,
  });
  opened.defer(() => cluster.uninstall());
  return { virtual: cluster.inside, hostNamespace: place.namespace };
}

/** Follows a collection until disposed of; resolves once its first list was told. */
export async function follow<T extends KubeObject>(
  { client }: ClusterAccess,
  type: ResourceType,
  namespace: string,
  onChange: (change: Change<T>) => void,
): Promise<AsyncDisposable> {
  const stop = new AbortController();
  const reflector = createReflector<T>({
    client,
    type,
    namespace,
    store: createStore<T>(),
    onChange,
    logger: pino({ level: 'silent' }),
  });
  const running = reflector.run(stop.signal);
  await reflector.synced(AbortSignal.timeout(60_000));
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
