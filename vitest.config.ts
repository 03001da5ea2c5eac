// Three projects: unit tests need nothing, integration tests the test host, end-to-end tests an installed Mayfly.
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          // Ten times what the slowest takes on an idle machine: others may be at work on it.
          testTimeout: 20_000,
          include: [
            '{src,worker,scripts}/**/*.test.ts',
            'test/{support,host,conformance,bench}/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          // They mostly wait for the cluster: twice as many as this machine has processors keep it busy.
          maxWorkers: 2 * availableParallelism(),
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
