// Custom resources by configuration, and config maps and secrets by mapping and by option, between two real API servers; the
// test plays the host's controller.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNotFound } from '../../../src/kube/errors.ts';
import {
  CONFIG_MAPS,
  CUSTOM_RESOURCE_DEFINITIONS,
  type KubeObject,
  NAMESPACES,
  PODS,
  type ResourceType,
  SECRETS,
} from '../../../src/kube/resource.ts';
import type { ConfigMap, Pod, Secret } from '../../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';
import {
  call,
  type SyncedCluster,
  sleeper,
  startSyncedCluster,
  within,
} from '../../support/synced-cluster.ts';

interface Custom extends KubeObject {
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

/** Definitions are the whole host's. */
const GROUP = `t${randomBytes(3).toString('hex')}.example.com`;
const type = (plural: string, kind: string, namespaced = true): ResourceType => ({
  group: GROUP,
  version: 'v1',
  plural,
  kind,
  namespaced,
});
const BACKUPS = type('backups', 'Backup');
const STORES = type('stores', 'Store', false);
const RECIPES = type('recipes', 'Recipe');
const named = (name: string) => ({ namespace: 'default', name });

function definitionOf({ group, plural, kind, namespaced }: ResourceType): KubeObject {
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const spec = { ...open, properties: { retention: { type: 'string', default: 'week' } } };
  const version = {
    served: true,
    subresources: { status: {} },
    schema: { openAPIV3Schema: { type: 'object', properties: { spec, status: open } } },
  };
  return {
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: namespaced ? 'Namespaced' : 'Cluster',
      names: { plural, singular: kind.toLowerCase(), kind },
      versions: [
        { ...version, name: 'v1beta1', storage: false },
        { ...version, name: 'v1', storage: true },
      ],
    },
  } as KubeObject;
}

let host: ClusterAccess;
let infra: TestNamespace;
let cluster: SyncedCluster;
const undefine = ({ plural }: ResourceType) =>
  host.client
    .delete(CUSTOM_RESOURCE_DEFINITIONS, { name: `${plural}.${GROUP}` }, call())
    .catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });

beforeAll(async () => {
  host = await clusterAccess();
  infra = await createTestNamespace('infra');
  for (const each of [BACKUPS, STORES, RECIPES])
    await host.client.create(CUSTOM_RESOURCE_DEFINITIONS, definitionOf(each), call());
  await host.client.create<Secret>(
    SECRETS,
    { metadata: { namespace: infra.namespace, name: 'login' }, data: { token: 'b25l' } },
    call(),
  );
  await host.client.create<Secret>(
    SECRETS,
    { metadata: { namespace: infra.namespace, name: 'unlisted' }, data: { token: 'b25l' } },
    call(),
  );
  const list = (entries: Record<string, string>[]) =>
    Object.fromEntries(
      entries.flatMap((entry, index) =>
        Object.entries(entry).map(([field, value]) => [`sync.customResources[${index}].${field}`, value]),
      ),
    );
  const common = { group: GROUP, version: 'v1' };
  cluster = await startSyncedCluster('custom', {
    ...list([
      {
        ...common,
        plural: 'backups',
        kind: 'Backup',
        direction: 'toHost',
        'references[0].path': 'spec.stores[*].secretName',
        'references[0].kind': 'Secret',
        'selectors[0]': 'spec.selector',
      },
      { ...common, plural: 'stores', kind: 'Store', direction: 'fromHost' },
      {
        ...common,
        plural: 'recipes',
        kind: 'Recipe',
        direction: 'fromHost',
        'namespace.from': infra.namespace,
        'namespace.to': 'recipes',
      },
    ]),
    'sync.configMaps': 'all',
    'sync.fromHost.secrets[0].from': `${infra.namespace}/login`,
    'sync.fromHost.secrets[0].to': 'default/registry',
  });
});
afterAll(async () => {
  await cluster?.remove();
  for (const each of [BACKUPS, STORES, RECIPES]) await undefine(each);
  await infra?.remove();
  await host?.client.close();
});

const inside = () => cluster.inside.client;
const shown = <T extends KubeObject>(
  of: ResourceType,
  name: { namespace?: string; name: string },
  accept = (_: T) => true,
) =>
  eventually(
    async () => {
      const found = await cluster.find<T>(of, name);
      return found && accept(found) ? found : undefined;
    },
    within(`${of.kind} ${name.name} is shown inside`),
  );

describe('a custom resource to the host', () => {
  it('has its definition inside, in the version that is synced', async () => {
    const definition = await shown<KubeObject & { spec: { versions: { name: string }[] } }>(
      CUSTOM_RESOURCE_DEFINITIONS,
      { name: `backups.${GROUP}` },
    );
    expect(definition.spec.versions.map(({ name }) => name)).toEqual(['v1']);
  });

  it('may have what the definition of the host comes to allow', async () => {
    const name = { name: `recipes.${GROUP}` };
    await shown(CUSTOM_RESOURCE_DEFINITIONS, name);
    const path = '/spec/versions/1/additionalPrinterColumns';
    const value = [{ name: 'Retention', type: 'string', jsonPath: '.spec.retention' }];
    await host.client.patch(
      CUSTOM_RESOURCE_DEFINITIONS,
      name,
      { type: 'json', body: [{ op: 'add', path, value }] },
      call(),
    );
    await shown<KubeObject & { spec: { versions: { additionalPrinterColumns?: object }[] } }>(
      CUSTOM_RESOURCE_DEFINITIONS,
      name,
      ({ spec }) => spec.versions[0]?.additionalPrinterColumns !== undefined,
    );
  });

  it('arrives with its Secret, refers to its copy, and shows the status it gets', async () => {
    await inside().create<Secret>(SECRETS, { metadata: named('store'), data: { key: 'a2V5' } }, call());
    await eventually(
      () =>
        inside()
          .create<Custom>(
            BACKUPS,
            {
              metadata: { ...named('nightly'), annotations: { 'example.com/x': 'y' } },
              spec: {
                schedule: '@daily',
                stores: [{ secretName: 'store' }],
                selector: { matchLabels: { app: 'db' } },
              },
            },
            call(),
          )
          .catch((error: unknown) => {
            if (!isNotFound(error)) throw error;
          }),
      within('the kind is served inside'),
    );
    const copy = await cluster.copied<Custom>(BACKUPS, 'nightly');
    const secret = await cluster.copied<Secret>(SECRETS, 'store');
    expect(copy.spec).toMatchObject({
      schedule: '@daily',
      retention: 'week',
      stores: [{ secretName: secret.metadata.name }],
      selector: { matchLabels: { 'mayfly.dev/cluster': 'custom' } },
    });
    expect(copy.metadata.annotations).not.toHaveProperty('example.com/x');
    const status = {
      observedGeneration: copy.metadata.generation,
      message: `${secret.metadata.name} in ${cluster.hostNamespace} is used`,
    };
    await host.client.update<Custom>(BACKUPS, { ...copy, status }, { ...call(), subresource: 'status' });
    const original = await shown<Custom>(BACKUPS, named('nightly'), (found) => found.status !== undefined);
    expect(original.status).toEqual({
      observedGeneration: original.metadata.generation,
      message: 'store in default is used',
    });
  });

  it('follows changes inside, and takes edits on the host back', async () => {
    const original = await shown<Custom>(BACKUPS, named('nightly'));
    const spec = { ...original.spec, schedule: '@weekly' };
    await inside().update<Custom>(BACKUPS, { ...original, spec }, call());
    const isWeekly = ({ spec: { schedule } = {} }: Custom) => schedule === '@weekly';
    const copy = await cluster.copied<Custom>(BACKUPS, 'nightly', isWeekly);
    await host.client.update<Custom>(BACKUPS, { ...copy, spec: { ...copy.spec, schedule: 'never' } }, call());
    await cluster.copied<Custom>(BACKUPS, 'nightly', isWeekly);
  });

  it('is refused where a selector could mean pods of others', async () => {
    await inside().create<Custom>(BACKUPS, { metadata: named('all'), spec: { schedule: '@daily' } }, call());
    const { message } = await cluster.warned('all', 'SyncRefused');
    expect(message).toContain('spec.selector: must say which pods it selects');
    expect(await cluster.copyOf(BACKUPS, 'all')).toBeUndefined();
  });
});

describe('custom resources from the host', () => {
  it('are shown while the host has them, cluster-scoped ones and those of one namespace', async () => {
    await host.client.create<Custom>(STORES, { metadata: { name: 'shared' }, spec: { size: 1 } }, call());
    await shown<Custom>(STORES, { name: 'shared' }, ({ spec }) => spec?.size === 1);
    await host.client.create<Custom>(
      RECIPES,
      { metadata: { namespace: infra.namespace, name: 'soup' }, spec: { salt: 'some' } },
      call(),
    );
    await inside().create<KubeObject>(NAMESPACES, { metadata: { name: 'recipes' } }, call());
    const place = { namespace: 'recipes', name: 'soup' };
    const soup = await shown<Custom>(RECIPES, place, ({ spec }) => spec?.salt === 'some');
    await inside().update<Custom>(RECIPES, { ...soup, spec: { salt: 'none' } }, call());
    await shown<Custom>(RECIPES, place, ({ spec }) => spec?.salt === 'some');
    await host.client.delete(STORES, { name: 'shared' }, call());
    await eventually(
      async () => ((await cluster.find(STORES, { name: 'shared' })) ? undefined : true),
      within('the store is gone inside'),
    );
  });
});

describe('config maps and secrets', () => {
  it('of the host are shown by mapping, kept true, and may be mounted', async () => {
    const login = { namespace: infra.namespace, name: 'login' };
    const registry = await shown<Secret>(SECRETS, named('registry'));
    expect(registry.data).toEqual({ token: 'b25l' });
    await inside().update<Secret>(SECRETS, { ...registry, data: { token: 'bWluZQ==' } }, call());
    await shown<Secret>(SECRETS, named('registry'), ({ data }) => data?.token === 'b25l');
    const source = await host.client.get<Secret>(SECRETS, login, call());
    await host.client.update<Secret>(SECRETS, { ...source, data: { token: 'dHdv' } }, call());
    await shown<Secret>(SECRETS, named('registry'), ({ data }) => data?.token === 'dHdv');
    const env = [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'registry', key: 'token' } } }];
    const pod = sleeper(named('mounts'));
    const [container] = pod.spec?.containers ?? [];
    if (container) container.env = env;
    await inside().create<Pod>(PODS, pod, call());
    await shown<Pod>(PODS, named('mounts'), ({ status }) => status?.phase === 'Running');
    expect(await cluster.inside.kubectl(['exec', 'mounts', '--', 'sh', '-c', 'echo $TOKEN'])).toBe('two\n');
  });

  it('of others than the listed ones may not be read by the syncer (T8)', async () => {
    const asked = await host
      .kubectl([
        'auth',
        'can-i',
        'get',
        'secrets/unlisted',
        '--namespace',
        infra.namespace,
        '--as',
        `system:serviceaccount:${cluster.hostNamespace}:custom`,
      ])
      .catch((error: Error) => error.message);
    expect(asked).toContain('no');
  });

  it('reach the host without being referred to, by option', async () => {
    await inside().create<ConfigMap>(CONFIG_MAPS, { metadata: named('alone'), data: { a: '1' } }, call());
    await inside().create<Secret>(SECRETS, { metadata: named('alone'), data: {} }, call());
    await cluster.copied<ConfigMap>(CONFIG_MAPS, 'alone');
    expect(await cluster.copyOf(SECRETS, 'alone')).toBeUndefined();
  });
});

describe('a definition that is removed while it is synced (F27)', () => {
  it('is missed by no other kind, and loses nothing inside', async () => {
    await undefine(BACKUPS);
    await inside().create<ConfigMap>(CONFIG_MAPS, { metadata: named('after'), data: { a: '1' } }, call());
    await inside().create<Pod>(PODS, sleeper(named('after')), call());
    await cluster.copied<ConfigMap>(CONFIG_MAPS, 'after');
    await shown<Pod>(PODS, named('after'), ({ status }) => status?.phase === 'Running');
    expect(await cluster.find<Custom>(BACKUPS, named('nightly'))).toBeDefined();
    await host.client.create(CUSTOM_RESOURCE_DEFINITIONS, definitionOf(BACKUPS), call());
    await cluster.copied<Custom>(BACKUPS, 'nightly');
  });
});
