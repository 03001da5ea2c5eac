// Every object that an API server holds, of every type it can list: taken before and after, it shows what was left behind.
import type { KubeClient } from '../../src/kube/client.ts';
import { isNotFound, isRetryable } from '../../src/kube/errors.ts';
import { type KubeObject, keyOf, type ResourceType } from '../../src/kube/resource.ts';

interface ApiResourceList {
  resources: { name: string; kind: string; namespaced: boolean; verbs: string[] }[];
}

/** Records that things happened: they outlive their objects on purpose and expire by themselves. */
const RECORDS = new Set(['events']);

/** Every resource type that can be listed, in the version that the server prefers. */
async function listableTypes(client: KubeClient, signal: AbortSignal): Promise<ResourceType[]> {
  const groups = JSON.parse(await client.text('/apis', { signal })) as {
    groups: { name: string; preferredVersion: { version: string } }[];
  };
  const versions = [
    { group: '', version: 'v1', path: '/api/v1' },
    ...groups.groups.map(({ name, preferredVersion: { version } }) => ({
      group: name,
      version,
      path: `/apis/${name}/${version}`,
    })),
  ];
  const lists = await Promise.all(
    versions.map(async ({ group, version, path }) => {
      const { resources } = JSON.parse(await client.text(path, { signal })) as ApiResourceList;
      return resources
        .filter(({ name, verbs }) => !name.includes('/') && verbs.includes('list'))
        .map(({ name, kind, namespaced }) => ({ group, version, plural: name, kind, namespaced }));
    }),
  );
  return lists.flat();
}

/** Every object there is, with its type. */
export async function everyObject(
  client: KubeClient,
  signal: AbortSignal,
): Promise<{ type: ResourceType; object: KubeObject }[]> {
  const types = await listableTypes(client, signal);
  const lists = await Promise.all(
    types.map(async (type) => {
      const { items } = await client.list(type, { signal }).catch((error: unknown) => {
        // A custom resource may come or go between discovery and the list.
        if (isNotFound(error) || (type.group.includes('.') && isRetryable(error))) return { items: [] };
        throw error;
      });
      return items.map((object) => ({ type, object }));
    }),
  );
  return lists.flat();
}

/** `plural.group namespace/name uid`, one a line, of every object there is. */
export async function inventory(client: KubeClient, signal: AbortSignal): Promise<Set<string>> {
  const objects = await everyObject(client, signal);
  return new Set(
    objects.flatMap(({ type: { group, plural }, object }) => {
      if (RECORDS.has(plural)) return [];
      const resource = group ? `${plural}.${group}` : plural;
      return `${resource} ${keyOf(object)} ${object.metadata.uid ?? ''}`;
    }),
  );
}

/** What `after` holds and `before` did not. */
export function leftovers(before: ReadonlySet<string>, after: ReadonlySet<string>): string[] {
  return [...after].filter((entry) => !before.has(entry)).sort();
}
