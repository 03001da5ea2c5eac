import { describe, expect, it } from 'vitest';
import { customResourcesSchema, fromHostSchema } from './custom-resources.ts';

const kind = { group: 'example.com', version: 'v1', plural: 'backups', kind: 'Backup' };
const toHost = { ...kind, direction: 'toHost' };
const fromHost = { ...kind, direction: 'fromHost' };

const complaints = (resources: object[]) =>
  (customResourcesSchema.safeParse(resources).error?.issues ?? []).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );

describe('custom resources', () => {
  it('show the host’s status and refer to nothing unless it is said', () => {
    expect(customResourcesSchema.parse([toHost])).toEqual([
      { ...toHost, statusBack: true, references: [], selectors: [] },
    ]);
    expect(customResourcesSchema.parse([{ ...fromHost, statusBack: false }])).toEqual([
      { ...fromHost, statusBack: false },
    ]);
  });

  it('take paths into lists, and refer to each other', () => {
    const vault = { ...toHost, plural: 'vaults', kind: 'Vault' };
    const references = [
      { path: 'spec.rules[*].tls.secretName', kind: 'Secret' },
      { path: 'spec.vaults[*]', kind: 'Vault' },
    ];
    expect(complaints([vault, { ...toHost, references, selectors: ['spec.podSelector'] }])).toEqual([]);
  });

  it.each([
    ['0.group: is a group of Kubernetes itself', [{ ...toHost, group: 'rbac.authorization.k8s.io' }]],
    ['0.group: must be a group with a dot', [{ ...toHost, group: 'apps' }]],
    ['0.plural: must be a DNS label', [{ ...toHost, plural: 'backups/status' }]],
    ['0.version: must be a version such as v1beta1', [{ ...toHost, version: '1' }]],
    ['1.plural: backups.example.com is listed twice', [toHost, fromHost]],
    [
      '0.plural: httproutes.gateway.networking.k8s.io is synced already',
      [{ ...toHost, group: 'gateway.networking.k8s.io', plural: 'httproutes' }],
    ],
    [
      '0.references: Node is none of Backup, ConfigMap',
      [{ ...toHost, references: [{ path: 'spec.node', kind: 'Node' }] }],
    ],
    [
      '0.references.0.path: must be a path below spec',
      [{ ...toHost, references: [{ path: 'metadata.name', kind: 'Secret' }] }],
    ],
    ['0.selectors.0: must be a path below spec', [{ ...toHost, selectors: ['spec[0].pods'] }]],
    ['0.namespace.to: ', [{ ...fromHost, namespace: { from: 'infra' } }]],
    ['0: Unrecognized key: "references"', [{ ...fromHost, references: [] }]],
    ['0.direction: ', [{ ...kind, direction: 'both' }]],
  ])('are refused by name: %s', (complaint, resources) => {
    expect(complaints(resources).join('\n')).toContain(complaint);
  });
});

describe('objects of the host that are shown inside', () => {
  it('are named on both sides', () => {
    const secrets = [{ from: 'infra/login', to: 'default/registry' }];
    expect(fromHostSchema.parse({ secrets })).toEqual({
      configMaps: [],
      secrets: [
        { from: { namespace: 'infra', name: 'login' }, to: { namespace: 'default', name: 'registry' } },
      ],
    });
  });

  it.each([
    ['login is no namespace/name', [{ from: 'login', to: 'default/registry' }]],
    ['a/b/c is no namespace/name', [{ from: 'infra/login', to: 'a/b/c' }]],
    ['infra/* is no namespace/name', [{ from: 'infra/*', to: 'default/registry' }]],
    [
      'default/registry is mapped twice',
      [
        { from: 'infra/one', to: 'default/registry' },
        { from: 'infra/two', to: 'default/registry' },
      ],
    ],
  ])('are refused when %s', (complaint, secrets) => {
    expect(fromHostSchema.safeParse({ secrets }).error?.message).toContain(complaint);
  });
});
