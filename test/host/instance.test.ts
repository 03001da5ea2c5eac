// Addresses and names of test hosts: what must not collide, and what must be found again by name alone.
import { describe, expect, it } from 'vitest';
import { cacheDir, planInstance } from './instance.ts';

describe('planInstance', () => {
  it('gives an instance the same names and addresses every time', () => {
    const cache = '/cache';
    expect(planInstance('trial', 2, { cache })).toEqual(planInstance('trial', 2, { cache }));
  });

  it('keeps the ranges of the default instance to itself', () => {
    const ranges = Array.from({ length: 200 }, (_, index) => planInstance(`host-${index}`, 1).serviceRange);
    expect(planInstance('mayfly', 1).serviceRange).toBe('10.96.0.0/16');
    expect(ranges).not.toContain('10.96.0.0/16');
  });

  it('gives each node an address and a pod range of its own', () => {
    const { nodes, podRange } = planInstance('mayfly', 3);
    expect(nodes.map((node) => node.address)).toEqual(['172.30.0.11', '172.30.0.12', '172.30.0.13']);
    expect(nodes.map((node) => node.podRange)).toEqual(['10.112.1.0/24', '10.112.2.0/24', '10.112.3.0/24']);
    expect(podRange).toBe('10.112.0.0/16');
  });

  it('has addresses of one family, or of both in the order that is asked for', () => {
    const single = planInstance('mayfly', 1);
    expect(single.serviceRanges).toEqual(['10.96.0.0/16']);
    const dual = planInstance('mayfly', 2, { families: ['IPv6', 'IPv4'] });
    expect(dual.serviceRanges).toEqual(['fd00:10:96::/108', '10.96.0.0/16']);
    expect(dual.serviceRange).toBe('fd00:10:96::/108');
    expect(dual.nodes[1]).toMatchObject({
      address: 'fd00:172:3000::12',
      addresses: ['fd00:172:3000::12', '172.30.0.12'],
      podRanges: ['fd00:10:112:2::/64', '10.112.2.0/24'],
    });
  });

  it('runs the control plane on the first node alone', () => {
    const roles = planInstance('mayfly', 3).nodes.map((node) => node.role);
    expect(roles).toEqual(['control-plane', 'worker', 'worker']);
  });

  it('names links within the fifteen characters that the kernel takes', () => {
    const { uplink, nodes } = planInstance('a-name-of-thirty-one-characters', 8);
    for (const link of [uplink, ...nodes.map((node) => node.fabricLink)]) {
      expect(link.length).toBeLessThanOrEqual(15);
    }
  });

  it.each(['', 'Upper', '../up', 'with space', '-dash'])('refuses the name %j', (name) => {
    expect(() => planInstance(name, 1)).toThrow('not a name');
  });

  it.each([0, 9, 1.5, Number.NaN])('refuses %d nodes', (count) => {
    expect(() => planInstance('mayfly', count)).toThrow('not a number of nodes');
  });
});

describe('cacheDir', () => {
  it('is a folder of the home folder unless the environment names another', () => {
    expect(cacheDir({ HOME: '/home/me' })).toBe('/home/me/.cache/mayfly');
    expect(cacheDir({ HOME: '/home/me', MAYFLY_CACHE: '/elsewhere' })).toBe('/elsewhere');
  });
});
