// Where a machine keeps its control groups, read from what the kernel says.
import { describe, expect, it } from 'vitest';
import { parseHierarchies } from './cgroups.ts';

describe('parseHierarchies', () => {
  it('finds each hierarchy of version 1 and the unified one beside them', () => {
    const mountInfo = [
      '22 1 0:20 / /sys rw,relatime - sysfs sysfs rw',
      '25 22 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755',
      '26 25 0:23 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory',
      '27 25 0:24 / /sys/fs/cgroup/pids rw,relatime shared:5 - cgroup cgroup rw,pids',
      '28 25 0:25 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
      '',
    ].join('\n');
    expect(parseHierarchies(mountInfo)).toEqual([
      '/sys/fs/cgroup/memory',
      '/sys/fs/cgroup/pids',
      '/sys/fs/cgroup/unified',
    ]);
  });

  it('finds the only hierarchy of version 2', () => {
    const line = '30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n';
    expect(parseHierarchies(line)).toEqual(['/sys/fs/cgroup']);
  });
});
