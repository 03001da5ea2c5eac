// Storage between two real API servers: what the host's scheduler, provisioner and kubelet make of claims from inside.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNotFound } from '../../../src/kube/errors.ts';
import {
  CSI_NODES,
  CUSTOM_RESOURCE_DEFINITIONS,
  EVENTS,
  type KubeObject,
  type ObjectName,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  PODS,
  type ResourceType,
  STORAGE_CLASSES,
  VOLUME_SNAPSHOTS,
} from '../../../src/kube/resource.ts';
import { ANNOTATION_NAME } from '../../../src/syncer/names.ts';
import type {
  Event,
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  Pod,
  StorageClass,
  Volume,
  VolumeSnapshot,
} from '../../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';
import { STATEFUL_SETS } from '../../support/resource-types.ts';
import { type InstalledVirtualCluster, installVirtualCluster } from '../../support/virtual-cluster.ts';

const CLUSTER = 'store';
const PROVISIONER = 'rancher.io/local-path';
const RESOURCE_QUOTAS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'resourcequotas',
  kind: 'ResourceQuota',
  namespaced: true,
};
const call = () => ({ signal: AbortSignal.timeout(30_000) });
const within = (what: string, timeoutMs = 60_000) => ({ what, timeoutMs });
const named = (name: string) => ({ namespace: 'default', name });

let place: TestNamespace;
let host: ClusterAccess;
let cluster: InstalledVirtualCluster;

beforeAll(async () => {
  place = await createTestNamespace('storage');
  host = await clusterAccess();
  cluster = await installVirtualCluster({ host, namespace: place.namespace, name: CLUSTER });
});
afterAll(async () => {
  await cluster?.uninstall();
  for (const name of [classNamed('growing'), classNamed('retained')]) {
    await host?.client.delete(STORAGE_CLASSES, { name }, call()).catch(ignoreAbsent);
  }
  await host?.client.close();
  await place?.remove();
});

const inside = () => cluster.inside.client;
/** Of the host, and therefore not the same in every run. */
const classNamed = (name: string) => `${name}-${place.namespace}`;

function ignoreAbsent(error: unknown): undefined {
  if (isNotFound(error)) return undefined;
  throw error;
}

const find = <T extends KubeObject>(type: ResourceType, name: ObjectName) =>
  inside().get<T>(type, name, call()).catch(ignoreAbsent);
const gone = async (found: Promise<KubeObject | undefined>) => ((await found) ? undefined : true);

async function onHost<T extends KubeObject>(type: ResourceType, name: string): Promise<T | undefined> {
  const labelSelector = `mayfly.dev/cluster=${CLUSTER}`;
  const { items } = await host.client.list<T>(type, { namespace: place.namespace, labelSelector, ...call() });
  return items.find(({ metadata }) => metadata.annotations?.[ANNOTATION_NAME] === name);
}

const volumeOnHost = (name: string) =>
  host.client.get<PersistentVolume>(PERSISTENT_VOLUMES, { name }, call()).catch(ignoreAbsent);

function claim(name: string, spec: Partial<PersistentVolumeClaimSpec> = {}): PersistentVolumeClaim {
  return {
    metadata: named(name),
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '8Mi' } }, ...spec },
  };
}

const container = (script: string) => ({
  name: 'app',
  image: 'docker.io/library/busybox:1.35.0',
  imagePullPolicy: 'IfNotPresent',
  command: ['sh', '-c', `trap 'exit 0' TERM; ${script}; sleep 3600 & wait`],
  volumeMounts: [{ name: 'data', mountPath: '/data' }],
});

function pod(name: string, script: string, volume: Omit<Volume, 'name'>): Pod {
  return {
    metadata: { ...named(name), labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [container(script)],
      volumes: [{ name: 'data', ...volume }],
    },
  };
}

const usesClaim = (claimName: string) => ({ persistentVolumeClaim: { claimName } });
const create = <T extends KubeObject>(type: ResourceType, object: T) => inside().create(type, object, call());
const running = (name: string) =>
  eventually(
    async () => {
      const found = await find<Pod>(PODS, named(name));
      return found?.status?.phase === 'Running' ? found : undefined;
    },
    within(`${name} runs`),
  );
const bound = (name: string) =>
  eventually(
    async () => {
      const found = await find<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, named(name));
      return found?.status?.phase === 'Bound' ? found : undefined;
    },
    within(`${name} is bound`),
  );
const output = async (name: string, ...command: string[]) =>
  (await cluster.inside.kubectl(['exec', name, '--', ...command])).trim();
async function end(name: string) {
  await inside().delete(PODS, named(name), { gracePeriodSeconds: 1, ...call() });
  await eventually(() => gone(find(PODS, named(name))), within(`${name} is gone`));
}
const warning = (name: string) =>
  eventually(
    async () => {
      const { items } = await inside().list<Event>(EVENTS, { namespace: 'default', ...call() });
      return items.find(({ involvedObject, type }) => involvedObject.name === name && type === 'Warning');
    },
    within(`${name} is told`),
  );

describe('a claim', () => {
  it('waits for its pod, and keeps the data for the next one', async () => {
    await create(PERSISTENT_VOLUME_CLAIMS, claim('data'));
    const copy = await eventually(
      () => onHost<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, 'data'),
      within('the host has the claim'),
    );
    expect(copy.status?.phase).toBe('Pending');
    await create(PODS, pod('writer', 'echo kept > /data/file', usesClaim('data')));
    await running('writer');
    await bound('data');
    expect(await output('writer', 'cat', '/data/file')).toBe('kept');
    await end('writer');
    await create(PODS, pod('reader', 'true', usesClaim('data')));
    await running('reader');
    expect(await output('reader', 'cat', '/data/file')).toBe('kept');
  });

  it('is bound to a volume that is shown, with what the host gave and without where it is (T16)', async () => {
    const { metadata, spec, status } = await bound('data');
    const name = spec?.volumeName ?? '';
    expect(spec?.storageClassName).toBe('local-path');
    expect(status).toMatchObject({ accessModes: ['ReadWriteOnce'], capacity: { storage: '8Mi' } });
    expect(metadata.annotations).toMatchObject({ 'pv.kubernetes.io/bind-completed': 'yes' });
    const volume = await find<PersistentVolume>(PERSISTENT_VOLUMES, { name });
    expect(volume).toMatchObject({
      spec: {
        capacity: { storage: '8Mi' },
        persistentVolumeReclaimPolicy: 'Delete',
        storageClassName: 'local-path',
        claimRef: { namespace: 'default', name: 'data', uid: metadata.uid },
        csi: { driver: 'host.mayfly.dev', volumeHandle: name },
      },
      status: { phase: 'Bound' },
    });
    expect(JSON.stringify(volume)).not.toMatch(new RegExp(`/opt/|${place.namespace}`));
  });

  it('looks to kubectl as on any cluster', async () => {
    const { spec } = await bound('data');
    const table = (kind: string) => cluster.inside.kubectl(['get', kind, '--no-headers']);
    expect(await table('pvc')).toMatch(
      new RegExp(`^data +Bound +${spec?.volumeName} +8Mi +RWO +local-path`, 'm'),
    );
    expect(await table('pv')).toMatch(
      new RegExp(`^${spec?.volumeName} +8Mi +RWO +Delete +Bound +default/data +local-path`, 'm'),
    );
    expect(await table('sc')).toMatch(
      /^local-path \(default\) +rancher.io\/local-path +Delete +WaitForFirstConsumer/m,
    );
    const described = await cluster.inside.kubectl(['describe', 'pvc', 'data']);
    expect(described).toContain('ProvisioningSucceeded');
    expect(described).not.toContain(place.namespace);
  });

  it('stays while a pod uses it, and takes its copy and its volume with it when it goes', async () => {
    const { spec } = await bound('data');
    const name = spec?.volumeName ?? '';
    expect(await volumeOnHost(name)).toBeDefined();
    await inside().delete(PERSISTENT_VOLUME_CLAIMS, named('data'), call());
    const ending = await find<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, named('data'));
    expect(ending?.metadata.finalizers).toContain('kubernetes.io/pvc-protection');
    expect(await onHost(PERSISTENT_VOLUME_CLAIMS, 'data')).toBeDefined();
    await end('reader');
    await eventually(() => gone(find(PERSISTENT_VOLUME_CLAIMS, named('data'))), within('the claim is gone'));
    await eventually(() => gone(onHost(PERSISTENT_VOLUME_CLAIMS, 'data')), within('its copy is gone'));
    await eventually(() => gone(volumeOnHost(name)), within('the volume of the host is gone'));
    await eventually(() => gone(find(PERSISTENT_VOLUMES, { name })), within('the volume inside is gone'));
  });

  it('of each pod of a StatefulSet is that pod’s again after it was replaced', async () => {
    const labels = { app: 'db' };
    await create(STATEFUL_SETS, {
      metadata: named('db'),
      spec: {
        replicas: 2,
        serviceName: 'db',
        selector: { matchLabels: labels },
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 1,
            containers: [container('[ -s /data/id ] || hostname > /data/id')],
          },
        },
        volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claim('x').spec }],
      },
    } as KubeObject);
    await running('db-0');
    const before = await running('db-1');
    await bound('data-db-1');
    await inside().delete(PODS, named('db-1'), { gracePeriodSeconds: 1, ...call() });
    await eventually(async () => {
      const found = await find<Pod>(PODS, named('db-1'));
      return found?.metadata.uid !== before.metadata.uid && found?.status?.phase === 'Running'
        ? true
        : undefined;
    }, within('db-1 was replaced'));
    expect(await output('db-1', 'cat', '/data/id')).toBe('db-1');
    await inside().delete(STATEFUL_SETS, named('db'), { propagationPolicy: 'Foreground', ...call() });
    for (const name of ['data-db-0', 'data-db-1']) {
      await eventually(() => gone(onHost(PERSISTENT_VOLUME_CLAIMS, name)), within(`${name} is gone`));
    }
  });

  it('of an ephemeral volume comes and goes with its pod', async () => {
    const ephemeral = { volumeClaimTemplate: { spec: claim('x').spec ?? {} } };
    await create(PODS, pod('scratch', 'echo here > /data/file', { ephemeral }));
    await running('scratch');
    await bound('scratch-data');
    expect(await output('scratch', 'cat', '/data/file')).toBe('here');
    await end('scratch');
    await eventually(
      () => gone(onHost(PERSISTENT_VOLUME_CLAIMS, 'scratch-data')),
      within('its claim is gone'),
    );
  });

  it('asks the host for more when it grows', async () => {
    await host.client.create<StorageClass>(
      STORAGE_CLASSES,
      {
        metadata: { name: classNamed('growing') },
        provisioner: PROVISIONER,
        volumeBindingMode: 'WaitForFirstConsumer',
        allowVolumeExpansion: true,
      },
      call(),
    );
    await eventually(
      () => find(STORAGE_CLASSES, { name: classNamed('growing') }),
      within('the class is shown'),
    );
    await create(PERSISTENT_VOLUME_CLAIMS, claim('growing', { storageClassName: classNamed('growing') }));
    await create(PODS, pod('grower', 'true', usesClaim('growing')));
    await bound('growing');
    await inside().patch(
      PERSISTENT_VOLUME_CLAIMS,
      named('growing'),
      { type: 'merge', body: { spec: { resources: { requests: { storage: '16Mi' } } } } },
      call(),
    );
    await eventually(async () => {
      const grown = await onHost<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, 'growing');
      return grown?.spec?.resources?.requests?.storage === '16Mi' ? true : undefined;
    }, within('the request has grown on the host'));
  });

  it('leaves its volume behind where the class retains it, for as long as the host has it', async () => {
    await host.client.create<StorageClass>(
      STORAGE_CLASSES,
      {
        metadata: { name: classNamed('retained') },
        provisioner: PROVISIONER,
        reclaimPolicy: 'Retain',
        volumeBindingMode: 'WaitForFirstConsumer',
      },
      call(),
    );
    await eventually(
      () => find(STORAGE_CLASSES, { name: classNamed('retained') }),
      within('the class is shown'),
    );
    await create(PERSISTENT_VOLUME_CLAIMS, claim('retained', { storageClassName: classNamed('retained') }));
    await create(PODS, pod('keeper', 'true', usesClaim('retained')));
    await running('keeper');
    const { spec } = await bound('retained');
    const name = spec?.volumeName ?? '';
    await end('keeper');
    await inside().delete(PERSISTENT_VOLUME_CLAIMS, named('retained'), call());
    await eventually(async () => {
      const volume = await find<PersistentVolume>(PERSISTENT_VOLUMES, { name });
      return volume?.status?.phase === 'Released' ? true : undefined;
    }, within('the volume is released'));
    await eventually(
      async () => ((await volumeOnHost(name))?.status?.phase === 'Released' ? true : undefined),
      within('the volume is released on the host'),
    );
    await host.client.delete(PERSISTENT_VOLUMES, { name }, call());
    await eventually(() => gone(find(PERSISTENT_VOLUMES, { name })), within('the volume inside is gone'));
  });
});

describe('a node', () => {
  it('is shown with the drivers that it has', async () => {
    const name = { name: (await running('grower')).spec?.nodeName ?? '' };
    const shown = await eventually(() => find(CSI_NODES, name), within('the CSINode is shown'));
    expect(shown.metadata.name).toBe(name.name);
  });
});

describe('what a tenant may not do', () => {
  it('bring volumes of its own to the host (T2)', async () => {
    const byHand: PersistentVolume = {
      metadata: { name: 'root-of-the-node' },
      spec: {
        accessModes: ['ReadWriteOnce'],
        capacity: { storage: '8Mi' },
        hostPath: { path: '/' },
        storageClassName: 'by-hand',
      },
    };
    await create(PERSISTENT_VOLUMES, byHand);
    await create(PERSISTENT_VOLUME_CLAIMS, claim('root', { storageClassName: 'by-hand' }));
    await eventually(() => onHost(PERSISTENT_VOLUME_CLAIMS, 'root'), within('the host has the claim'));
    expect(await volumeOnHost('root-of-the-node')).toBeUndefined();
    const stays = await find<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, named('root'));
    expect(stays?.status?.phase).toBe('Pending');
  });

  it.each<[string, Partial<PersistentVolumeClaimSpec>]>([
    ['volumeName', { volumeName: 'root-of-the-node' }],
    ['selector', { selector: { matchLabels: { a: 'b' } } }],
    ['storageClassName', { storageClassName: '' }],
    ['dataSourceRef', { dataSourceRef: { apiGroup: 'example.com', kind: 'Populator', name: 'x' } }],
  ])('choose data of others by %s (T2)', async (field, spec) => {
    const name = field.toLowerCase();
    await create(PERSISTENT_VOLUME_CLAIMS, claim(name, spec));
    const { reason, message } = await warning(name);
    expect([reason, message]).toEqual([
      'SyncRefused',
      expect.stringMatching(new RegExp(`^spec\\.${field}: `)),
    ]);
    expect(await onHost(PERSISTENT_VOLUME_CLAIMS, name)).toBeUndefined();
  });

  it('change or delete a class of the host', async () => {
    const name = { name: 'local-path' };
    const change = { allowVolumeExpansion: true, metadata: { annotations: { 'example.com/mine': 'kept' } } };
    await inside().patch(STORAGE_CLASSES, name, { type: 'merge', body: change }, call());
    await eventually(async () => {
      const shown = await find<StorageClass>(STORAGE_CLASSES, name);
      return shown && !shown.allowVolumeExpansion ? true : undefined;
    }, within('the change is put back'));
    const before = await find(STORAGE_CLASSES, name);
    await inside().delete(STORAGE_CLASSES, name, call());
    await eventually(async () => {
      const shown = await find(STORAGE_CLASSES, name);
      return shown && shown.metadata.uid !== before?.metadata.uid ? true : undefined;
    }, within('the class is there again'));
    expect(await host.client.get<StorageClass>(STORAGE_CLASSES, name, call())).not.toHaveProperty(
      'allowVolumeExpansion',
    );
  });
});

describe('what the host may lack', () => {
  const { group, plural, kind } = VOLUME_SNAPSHOTS;
  const name = { name: `${plural}.${group}` };
  const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const definition = {
    metadata: { ...name, annotations: { 'api-approved.kubernetes.io': 'unapproved, for tests' } },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, singular: 'volumesnapshot', kind },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
        },
      ],
    },
  };
  const define = (client: ClusterAccess['client']) =>
    client.create<KubeObject>(CUSTOM_RESOURCE_DEFINITIONS, definition, call());
  const withdraw = () => host.client.delete(CUSTOM_RESOURCE_DEFINITIONS, name, call()).catch(ignoreAbsent);
  afterAll(withdraw);

  it('is synced from when both have it, and missed by nothing else when it goes (F27)', async () => {
    await define(inside());
    const snapshot: VolumeSnapshot = {
      metadata: named('before'),
      spec: { source: { persistentVolumeClaimName: 'growing' } },
    };
    await eventually(() => create(VOLUME_SNAPSHOTS, snapshot), within('the kind is served'));
    await define(host.client);
    // The host's quota refuses a kind until it counts it, which is some minutes after it came.
    const quota = { namespace: place.namespace, name: `${CLUSTER}-objects` };
    await host.client.delete(RESOURCE_QUOTAS, quota, call());
    const copy = await eventually(
      () => onHost<VolumeSnapshot>(VOLUME_SNAPSHOTS, 'before'),
      within('the host has the snapshot', 90_000),
    );
    expect(copy.spec.source.persistentVolumeClaimName).toBe(
      (await onHost(PERSISTENT_VOLUME_CLAIMS, 'growing'))?.metadata.name,
    );
    await withdraw();
    await create(PODS, pod('unmoved', 'true', { emptyDir: {} }));
    await running('unmoved');
    expect(await find(VOLUME_SNAPSHOTS, named('before'))).toBeDefined();
  });
});

describe('without the right to read the host', () => {
  it('shows volumes as their claims tell of them, and no classes', async () => {
    const values = { 'rbac.hostReads': 'false' };
    const blind = await installVirtualCluster({ host, namespace: place.namespace, name: 'blind', values });
    try {
      const { client } = blind.inside;
      await client.create(PERSISTENT_VOLUME_CLAIMS, claim('data'), call());
      await client.create(PODS, pod('writer', 'true', usesClaim('data')), call());
      const found = await eventually(async () => {
        const seen = await client.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, named('data'), call());
        return seen.status?.phase === 'Bound' ? seen : undefined;
      }, within('the claim is bound'));
      expect(found.spec?.storageClassName).toBe('local-path');
      const volume = { name: found.spec?.volumeName ?? '' };
      expect(await client.get<PersistentVolume>(PERSISTENT_VOLUMES, volume, call())).toMatchObject({
        spec: { capacity: { storage: '8Mi' }, claimRef: { name: 'data' } },
        status: { phase: 'Bound' },
      });
      expect((await client.list(STORAGE_CLASSES, call())).items).toEqual([]);
      await client.delete(PODS, named('writer'), { gracePeriodSeconds: 0, ...call() });
      await client.delete(PERSISTENT_VOLUME_CLAIMS, named('data'), call());
      await eventually(async () => {
        const { items } = await client.list(PERSISTENT_VOLUMES, call());
        return items.length === 0 ? true : undefined;
      }, within('the volume is gone'));
    } finally {
      await blind.uninstall();
    }
  });
});
