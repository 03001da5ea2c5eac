// What the chart lets a syncer do, without any cluster.
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { CHARTS, find, type Rendered, render } from './rendered-chart.ts';

interface PolicyRule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

let objects: Rendered[];
beforeAll(async () => {
  objects = await render();
});

describe('rights', () => {
  const rulesOf = (object: Rendered) => object.rules as PolicyRule[];

  test('names every right of the syncer, and none outside its namespace but reading', () => {
    const role = rulesOf(find(objects, 'Role', 'pr-17'));
    expect(
      role.flatMap(({ apiGroups, resources, verbs }) => [...apiGroups, ...resources, ...verbs]),
    ).not.toContain('*');
    const clusterRole = rulesOf(find(objects, 'ClusterRole', 'mayfly:previews:pr-17'));
    expect(new Set(clusterRole.flatMap(({ verbs }) => verbs))).toEqual(new Set(['get', 'list', 'watch']));
    expect(clusterRole.flatMap(({ resources }) => resources)).not.toContain('secrets');
  });

  test('reach ServiceAccounts by option only', async () => {
    const kindsOf = (rendered: readonly Rendered[]) =>
      rulesOf(find(rendered, 'Role', 'pr-17')).flatMap(({ resources }) => resources);
    expect(kindsOf(objects)).not.toContain('serviceaccounts');
    const asked = await render({ sync: { serviceAccounts: { enabled: true } } });
    expect(kindsOf(asked)).toContain('serviceaccounts');
  });

  test('reach what the operator lists and nothing beside it', async () => {
    const kind = { group: 'example.com', version: 'v1', kind: 'Any' };
    const rendered = await render({
      sync: {
        customResources: [
          { ...kind, plural: 'backups', direction: 'toHost' },
          { ...kind, plural: 'stores', direction: 'fromHost' },
          { ...kind, plural: 'recipes', direction: 'fromHost', namespace: { from: 'infra', to: 'recipes' } },
        ],
        fromHost: {
          configMaps: [{ from: 'other/settings', to: 'default/settings' }],
          secrets: [{ from: 'infra/login', to: 'default/registry' }],
        },
      },
      dns: { hostServices: [{ name: 'db.shared.svc.cluster.local', service: 'infra/db' }] },
    });
    const added = (object: Rendered, before: readonly Rendered[]) => {
      const known = before.find(
        ({ kind: ofKind, metadata }) => ofKind === object.kind && metadata.name === object.metadata.name,
      );
      return [...triples(rulesOf(object))].filter((right) => !known || !triples(rulesOf(known)).has(right));
    };
    const own = added(find(rendered, 'Role', 'pr-17'), objects);
    expect(new Set(own.map((right) => right.split(' ').slice(1).join(' ')))).toEqual(
      new Set(['backups of example.com']),
    );
    expect(added(find(rendered, 'ClusterRole', 'mayfly:previews:pr-17'), objects)).toEqual([
      'get customresourcedefinitions of apiextensions.k8s.io',
      'get stores of example.com',
      'list stores of example.com',
      'watch stores of example.com',
    ]);
    const elsewhere = rendered.filter(
      ({ kind: ofKind, metadata }) => ofKind === 'Role' && metadata.namespace !== 'previews',
    );
    const named = elsewhere.map(({ metadata, rules }) => [
      metadata.namespace,
      (rules as (PolicyRule & { resourceNames?: string[] })[]).map(
        ({ resources, resourceNames = ['*'] }) => `${resources} ${resourceNames}`,
      ),
    ]);
    expect(Object.fromEntries(named)).toEqual({
      other: ['configmaps settings'],
      infra: ['secrets login', 'services db', 'recipes *'],
    });
  });

  test('grants workloads nothing', () => {
    const bindings = objects.filter(({ kind }) => kind.endsWith('RoleBinding'));
    const subjects = bindings.flatMap(({ subjects: names }) => names as { name: string }[]);
    expect(subjects.map(({ name }) => name)).toEqual(['pr-17', 'pr-17']);
  });

  test('makes nothing outside the namespace without hostReads', async () => {
    const rendered = await render({ rbac: { hostReads: false } });
    expect(rendered.filter(({ metadata }) => metadata.namespace === undefined)).toEqual([]);
  });

  describe('in environments of the service', () => {
    const resource = { group: 'example.com', version: 'v1', kind: 'Any' };
    const customResources = [
      { ...resource, plural: 'backups', direction: 'toHost' },
      { ...resource, plural: 'regions', direction: 'fromHost' },
      { ...resource, plural: 'quotes', direction: 'fromHost', namespace: { from: 'shared', to: 'shared' } },
    ];
    const virtualCluster = { sync: { customResources } };
    let service: Rendered[];
    let alone: Rendered[];
    beforeAll(async () => {
      const values = {
        publicUrl: 'https://mayfly.example.com',
        previewUrl: 'https://preview.example.com',
        environments: { virtualCluster },
      };
      [service, alone] = await Promise.all([
        render(values, { name: 'mayfly', namespace: 'mayfly' }, join(CHARTS, 'mayfly')),
        render(virtualCluster),
      ]);
    });

    test('are all held by the worker, which could not grant them otherwise', () => {
      const held = triples(rulesOf(find(service, 'ClusterRole', 'mayfly-environment')));
      const granted = triples(rulesOf(find(alone, 'Role', 'pr-17')));
      expect([...granted].filter((right) => !held.has(right))).toEqual([]);
    });

    test('are the same beyond the namespace as a cluster that stands alone has', () => {
      const ofService = rulesOf(find(service, 'ClusterRole', 'mayfly-environment-reads'));
      expect(ofService).toEqual(rulesOf(find(alone, 'ClusterRole', 'mayfly:previews:pr-17')));
      expect(JSON.stringify(ofService)).toContain('regions.example.com');
    });
  });

  function triples(rules: readonly PolicyRule[]): Set<string> {
    return new Set(
      rules.flatMap(({ apiGroups, resources, verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource} of ${group || 'core'}`)),
        ),
      ),
    );
  }
});
