import { expect, test } from 'vitest';
import { partsOfContainer } from './process-usage.ts';

test('a container that runs one program is measured under its own name', () => {
  const parts = partsOfContainer('syncer', [
    { pid: 7, program: 'node' },
    { pid: 8, program: 'node' },
  ]);
  expect([...parts]).toEqual([['syncer', [7, 8]]]);
});

test('a container that runs several programs is measured program by program', () => {
  const parts = partsOfContainer('syncer', [
    { pid: 7, program: 'vcluster' },
    { pid: 8, program: 'kine' },
    { pid: 9, program: 'kine' },
  ]);
  expect([...parts]).toEqual([
    ['vcluster', [7]],
    ['kine', [8, 9]],
  ]);
});

test('a container without a process has no part', () => {
  expect(partsOfContainer('syncer', []).size).toBe(0);
});
