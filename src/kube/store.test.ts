import { describe, expect, it } from 'vitest';
import { type KubeObject, keyOf } from './resource.ts';
import { createStore } from './store.ts';

interface Thing extends KubeObject {
  spec: { owners: string[] };
}

const thing = (name: string, resourceVersion: string, owners: string[] = [], uid = name): Thing => ({
  metadata: { namespace: 'ns', name, uid, resourceVersion },
  spec: { owners },
});

const byOwner = () => createStore<Thing>({ indexers: { byOwner: ({ spec }) => spec.owners } });
const names = (things: readonly Thing[]) => things.map(({ metadata }) => metadata.name).sort();

describe('store', () => {
  it('tells what each event changed, with the state before', () => {
    const store = byOwner();
    const [one, two, three] = [thing('a', '1'), thing('a', '2'), thing('a', '3')];
    expect(store.apply('ADDED', one)).toEqual({ type: 'added', object: one });
    expect(store.apply('MODIFIED', two)).toEqual({ type: 'updated', object: two, previous: one });
    expect(store.apply('DELETED', three)).toEqual({ type: 'deleted', previous: three });
    expect(store.size).toBe(0);
  });

  it('is not changed by a version it holds already, or the deletion of what it does not hold', () => {
    const store = byOwner();
    store.apply('ADDED', thing('a', '1'));
    expect(store.apply('MODIFIED', thing('a', '1'))).toBeUndefined();
    expect(store.apply('DELETED', thing('b', '1'))).toBeUndefined();
  });

  it('takes an event with a lower resource version, because versions have no order', () => {
    const store = byOwner();
    store.apply('ADDED', thing('a', '9'));
    expect(store.apply('MODIFIED', thing('a', '10'))).toMatchObject({ type: 'updated' });
    expect(store.apply('MODIFIED', thing('a', '9'))).toMatchObject({ type: 'updated' });
  });

  it('takes the answer to a write before the watch tells of it, and is not set back by events from before', () => {
    const store = byOwner();
    store.apply('ADDED', thing('a', '8'));
    expect(store.learn(thing('a', '10', ['x']))).toMatchObject({
      type: 'updated',
      previous: { metadata: { resourceVersion: '8' } },
    });
    expect(store.apply('MODIFIED', thing('a', '9'))).toBeUndefined();
    expect(names(store.byIndex('byOwner', 'x'))).toEqual(['a']);
    expect(store.apply('MODIFIED', thing('a', '10', ['x']))).toBeUndefined();
    expect(store.apply('MODIFIED', thing('a', '11'))).toMatchObject({ type: 'updated' });
  });

  it('takes any event again once the watch is as far as what it learned', () => {
    const store = byOwner();
    store.apply('ADDED', thing('a', '8'));
    store.learn(thing('a', '10'));
    store.apply('MODIFIED', thing('a', '10'));
    expect(store.apply('MODIFIED', thing('a', '9'))).toMatchObject({ type: 'updated' });
  });

  it('learns nothing from an answer that comes after newer events, after the end, or about another object', () => {
    const store = byOwner();
    expect(store.learn(thing('a', '1'))).toBeUndefined();
    store.apply('ADDED', thing('a', '12'));
    expect(store.learn(thing('a', '9'))).toBeUndefined();
    expect(store.learn(thing('a', '13', [], 'another'))).toBeUndefined();
    expect(store.learn(thing('a', 'x13'))).toBeUndefined();
    store.apply('DELETED', thing('a', '14'));
    expect(store.learn(thing('a', '13'))).toBeUndefined();
    expect(store.size).toBe(0);
  });

  it('forgets what it learned when a list replaces everything', () => {
    const store = byOwner();
    store.apply('ADDED', thing('a', '1'));
    store.learn(thing('a', '10'));
    store.replace([thing('a', '3')]);
    expect(store.apply('MODIFIED', thing('a', '4'))).toMatchObject({ type: 'updated' });
  });

  it('sees a new object under an old name and version, as in a replaced cluster, as an update', () => {
    const store = byOwner();
    store.apply('ADDED', thing('a', '1', [], 'uid-1'));
    expect(store.apply('MODIFIED', thing('a', '1', [], 'uid-2'))).toMatchObject({ type: 'updated' });
    expect(store.replace([thing('a', '1', [], 'uid-3')])).toMatchObject([{ type: 'updated' }]);
  });

  it('tells on replacement what was added, updated and deleted, and nothing of what stayed', () => {
    const store = byOwner();
    store.replace([thing('stays', '1'), thing('moves', '1'), thing('goes', '1')]);
    const kept = store.get('ns/stays');
    const changes = store.replace([thing('stays', '1'), thing('moves', '2'), thing('comes', '1')]);
    expect(
      changes.map((change) => [change.type, keyOf('object' in change ? change.object : change.previous)]),
    ).toEqual([
      ['updated', 'ns/moves'],
      ['added', 'ns/comes'],
      ['deleted', 'ns/goes'],
    ]);
    expect(store.get('ns/stays')).toBe(kept);
    expect(names(store.list())).toEqual(['comes', 'moves', 'stays']);
  });

  it('finds objects by every value of an index and forgets old values', () => {
    const store = byOwner();
    store.apply('ADDED', thing('a', '1', ['x', 'y']));
    store.apply('ADDED', thing('b', '1', ['y']));
    store.apply('MODIFIED', thing('a', '2', ['y', 'z']));
    expect(names(store.byIndex('byOwner', 'x'))).toEqual([]);
    expect(names(store.byIndex('byOwner', 'y'))).toEqual(['a', 'b']);
    expect(names(store.byIndex('byOwner', 'z'))).toEqual(['a']);
  });

  it('refuses an index that does not exist instead of finding nothing', () => {
    expect(() => byOwner().byIndex('byColour', 'red')).toThrow(RangeError);
  });

  it('keeps no managed fields and leaves what it was given as it was', () => {
    const store = byOwner();
    const given = thing('a', '1');
    given.metadata.managedFields = [{ manager: 'someone' }];
    store.apply('ADDED', given);
    expect(store.get('ns/a')?.metadata).toEqual({
      namespace: 'ns',
      name: 'a',
      uid: 'a',
      resourceVersion: '1',
    });
    expect(given.metadata.managedFields).toHaveLength(1);
  });

  it('has indexes equal to those computed anew after any sequence of events and replacements', () => {
    const random = seeded(7);
    const pick = (count: number) => Math.floor(random() * count);
    const owners = ['x', 'y', 'z'];
    const store = byOwner();
    const expected = new Map<string, Thing>();
    for (let version = 1; version <= 3_000; version++) {
      const object = thing(
        `n${pick(12)}`,
        String(version),
        owners.filter(() => random() < 0.4),
      );
      if (random() < 0.02) {
        const replacement = [...expected.values()].filter(() => random() < 0.7);
        if (!replacement.some((kept) => keyOf(kept) === keyOf(object))) replacement.push(object);
        store.replace(replacement);
        expected.clear();
        for (const kept of replacement) expected.set(keyOf(kept), kept);
      } else if (random() < 0.3) {
        store.apply('DELETED', object);
        expected.delete(keyOf(object));
      } else {
        store.apply('MODIFIED', object);
        expected.set(keyOf(object), object);
      }
      expect(store.size).toBe(expected.size);
      for (const owner of owners) {
        const recomputed = [...expected.values()].filter(({ spec }) => spec.owners.includes(owner));
        expect(names(store.byIndex('byOwner', owner))).toEqual(names(recomputed));
      }
    }
  });
});

/** Park and Miller's generator: the same numbers in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
