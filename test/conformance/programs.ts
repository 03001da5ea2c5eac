// What the conformance run is made of, built from Go modules: upstream's tests, their runner, and the programs in their images.
import { join } from 'node:path';
import { type Build, buildPrograms, kubernetesStamps } from '../host/binaries.ts';
import { run } from '../host/command.ts';
import type { Progress } from '../host/progress.ts';

const MODULE = join(import.meta.dirname, 'go');

const program = (name: string, target: string): Build => ({ name, target, moduleDir: MODULE, sources: [] });

const PROGRAMS = {
  tests: {
    ...program('e2e.test', 'k8s.io/kubernetes/test/e2e'),
    test: true,
    linkerFlags: kubernetesStamps,
  },
  ginkgo: program('ginkgo', 'github.com/onsi/ginkgo/v2/ginkgo'),
  agnhost: program('agnhost', 'k8s.io/kubernetes/test/images/agnhost'),
  nonewprivs: program('nnp', 'k8s.io/kubernetes/test/images/nonewprivs'),
  sampleApiserver: program('sample-apiserver', 'k8s.io/sample-apiserver'),
};

export type Programs = Readonly<Record<keyof typeof PROGRAMS, string>>;

/** Builds what is missing and returns the path of each program. */
export function buildConformancePrograms(cache: string, progress: Progress): Promise<Programs> {
  return buildPrograms(PROGRAMS, cache, progress);
}

/** The sources of upstream's test images, in the module cache since the build. */
export async function imageSources(): Promise<string> {
  const folder = await run('go', ['list', '-m', '-f', '{{.Dir}}', 'k8s.io/kubernetes'], { cwd: MODULE });
  return join(folder.trim(), 'test/images');
}
