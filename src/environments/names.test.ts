import { describe, expect, test } from 'vitest';
import {
  generatedEnvironmentName,
  hostNamespaceName,
  isEnvironmentName,
  isExposeName,
  previewHostLabel,
  pullRequestEnvironmentNames,
} from './names.ts';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const UID = '5f0c9c4e-7a0f-4c0e-9a1c-3d2f1f6f2b11';
const OTHER_UID = 'b3b2c5f4-1df1-4f6c-8b36-0a9e9f7b5c22';

describe('the environment of a pull request', () => {
  test.each([
    ['acme/shop', 412, 'shop-412'],
    ['acme/Shop.API', 7, 'shop-api-7'],
    ['acme/_.-', 7, 'env-7'],
    ['acme/2048', 1, 'env-2048-1'],
    [
      'acme/a-very-long-name-of-a-repository-that-does-not-fit',
      99999,
      'a-very-long-name-of-a-repository-t-99999',
    ],
  ])('%s #%i is called %s', (repository, number, expected) => {
    expect(pullRequestEnvironmentNames({ repository, repositoryId: 1, number })[0]).toBe(expected);
  });

  test.each([
    'acme/shop',
    'x/y',
    'acme/---',
    'acme/Ünïcode',
    `acme/${'n'.repeat(100)}`,
    `acme/${'a-'.repeat(50)}`,
  ])('both names of %s are valid environment names, even with the largest numbers', (repository) => {
    const names = pullRequestEnvironmentNames({ repository, repositoryId: 2 ** 53 - 1, number: 2 ** 31 - 1 });
    for (const name of names) expect(isEnvironmentName(name), name).toBe(true);
  });

  test('repositories of the same name share the first name and never the second', () => {
    const [mine, mineAlone] = pullRequestEnvironmentNames({
      repository: 'acme/shop',
      repositoryId: 1,
      number: 2,
    });
    const [theirs, theirsAlone] = pullRequestEnvironmentNames({
      repository: 'evil/Shop',
      repositoryId: 2,
      number: 2,
    });
    expect(theirs).toBe(mine);
    expect(theirsAlone).not.toBe(mineAlone);
  });

  test('names whose parts run together do not meet in the second name', () => {
    const first = pullRequestEnvironmentNames({ repository: 'acme/shop', repositoryId: 11, number: 2 });
    const second = pullRequestEnvironmentNames({ repository: 'acme/shop', repositoryId: 1, number: 12 });
    expect(first[1]).not.toBe(second[1]);
  });
});

describe('the host namespace', () => {
  test('differs for an environment of the same name that was created again', () => {
    expect(hostNamespaceName('shop-412', UID)).not.toBe(hostNamespaceName('shop-412', OTHER_UID));
    expect(hostNamespaceName('shop-412', UID)).toBe(hostNamespaceName('shop-412', UID));
  });

  test('is a DNS label for the longest name', () => {
    expect(hostNamespaceName('a'.repeat(40), UID)).toMatch(DNS_LABEL);
  });
});

describe('the host label of a preview', () => {
  test('is a DNS label for the longest names', () => {
    expect(previewHostLabel('a'.repeat(40), UID, 'b'.repeat(20))).toMatch(DNS_LABEL);
    expect(previewHostLabel(`${'a'.repeat(29)}-${'b'.repeat(10)}`, UID)).toMatch(DNS_LABEL);
  });

  test('cannot be derived from the name alone, nor from the host namespace', () => {
    const label = previewHostLabel('shop-412', UID);
    expect(label).toMatch(/^shop-412-[a-z2-7]{10}$/);
    expect(previewHostLabel('shop-412', OTHER_UID)).not.toBe(label);
    expect(hostNamespaceName('shop-412', UID)).not.toContain(label.slice(-10, -2));
  });

  test('of a named preview is the main label with the name before it', () => {
    expect(previewHostLabel('shop-412', UID, 'api')).toBe(`api--${previewHostLabel('shop-412', UID)}`);
  });
});

test.each(['', 'xn', 'a--b', '-a', 'a-', 'A', '1a', 'a'.repeat(21), 'a.b'])(
  'refuses %j as expose name',
  (name) => {
    expect(isExposeName(name)).toBe(false);
  },
);

test.each(['', '1a', '-a', 'a-', 'A', 'a.b', 'a/b', '--version', 'a'.repeat(41), 'a\n'])(
  'refuses %j as environment name',
  (name) => {
    expect(isEnvironmentName(name)).toBe(false);
  },
);

test('a generated name is a valid one', () => {
  expect(isEnvironmentName(generatedEnvironmentName('abc234xy'))).toBe(true);
});
