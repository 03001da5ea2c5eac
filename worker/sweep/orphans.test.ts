import { expect, test } from 'vitest';
import { ENVIRONMENT_UID_LABEL, type HostNamespace } from '../host-namespace.ts';
import { findOrphans } from './orphans.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');

function namespace(
  name: string,
  { minutes = 60, uid = `uid-${name}`, deleting = false } = {},
): HostNamespace {
  return {
    metadata: {
      name,
      creationTimestamp: new Date(NOW - minutes * 60_000).toISOString(),
      labels: uid ? { [ENVIRONMENT_UID_LABEL]: uid } : {},
      ...(deleting && { deletionTimestamp: '2026-11-23T11:59:00Z' }),
    },
  };
}

test('a namespace is an orphan when no environment has the UID it was made for', () => {
  const namespaces = [
    namespace('kept'),
    namespace('orphan'),
    namespace('new', { minutes: 1 }),
    namespace('going', { deleting: true }),
    namespace('without-uid', { uid: '' }),
  ];
  const found = findOrphans({ namespaces, environmentUids: new Set(['uid-kept']), nowMs: NOW });
  expect(found.map(({ metadata }) => metadata.name)).toEqual(['orphan']);
});
