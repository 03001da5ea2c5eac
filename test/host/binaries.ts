// Go programs of the test host: built once per version of their module into the cache.
import { mkdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder, contentKey } from './cache.ts';
import { run, tryRun } from './command.ts';
import type { Progress } from './progress.ts';

export const KUBERNETES_VERSION = 'v1.34.4';
export const KINE_VERSION = 'v0.17.5';
export const LOCAL_PATH_PROVISIONER_VERSION = 'v0.0.30';
export const COREDNS_VERSION = 'v1.12.4';

/** How a program is built. */
export interface Build {
  readonly name: string;
  /** Folder of the Go module that says which versions are taken. */
  readonly moduleDir: string;
  /** Package to build. */
  readonly target: string;
  /** Files of the module that go into the program. */
  readonly sources: readonly string[];
  /** The program is the package's tests. */
  readonly test?: boolean;
  readonly cgo?: boolean;
  readonly tags?: string;
  readonly linkerFlags?: string;
}

/** Stamps that make every component report the version it was built from. */
export const kubernetesStamps = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']
  .flatMap((variables) => [
    `-X ${variables}.gitVersion=${KUBERNETES_VERSION}`,
    `-X ${variables}.gitMajor=1`,
    `-X ${variables}.gitMinor=34`,
    `-X ${variables}.gitTreeState=clean`,
  ])
  .join(' ');

const moduleDir = (name: string) => join(import.meta.dirname, 'go', name);

const BUILDS = {
  kubernetes: {
    name: 'kubernetes',
    moduleDir: moduleDir('kubernetes'),
    target: '.',
    sources: ['main.go'],
    linkerFlags: kubernetesStamps,
  },
  // The two that run inside virtual clusters are programs of their own, as upstream ships them, so that
  // their memory and start times are those of the real ones.
  apiserver: {
    name: 'kube-apiserver',
    moduleDir: moduleDir('kubernetes'),
    target: 'k8s.io/kubernetes/cmd/kube-apiserver',
    sources: [],
    linkerFlags: kubernetesStamps,
  },
  controllerManager: {
    name: 'kube-controller-manager',
    moduleDir: moduleDir('kubernetes'),
    target: 'k8s.io/kubernetes/cmd/kube-controller-manager',
    sources: [],
    linkerFlags: kubernetesStamps,
  },
  kine: {
    name: 'kine',
    moduleDir: moduleDir('kine'),
    target: 'github.com/k3s-io/kine',
    sources: [],
    cgo: true,
    tags: 'netgo osusergo',
    linkerFlags: `-X github.com/k3s-io/kine/pkg/version.Version=${KINE_VERSION} -linkmode external -extldflags "-static"`,
  },
  localPathProvisioner: {
    name: 'local-path-provisioner',
    moduleDir: moduleDir('local-path-provisioner'),
    target: 'github.com/rancher/local-path-provisioner',
    sources: [],
  },
  coredns: { name: 'coredns', moduleDir: moduleDir('coredns'), target: '.', sources: ['main.go'] },
} as const satisfies Record<string, Build>;

export type Binaries = Readonly<Record<keyof typeof BUILDS, string>>;

/** Names under which the one Kubernetes program of the host acts as each component. */
const COMPONENTS = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-proxy',
  'kubelet',
  'kubectl',
];

const BUILD_TIMEOUT_MS = 60 * 60_000;

/** Builds what is missing and returns the path of each program. */
export async function buildBinaries(cache: string, progress: Progress): Promise<Binaries> {
  return buildPrograms(BUILDS, cache, progress);
}

/** The host's program under the name of one of its components. */
export function componentPath(binaries: Binaries, component: string): string {
  return join(binaries.kubernetes, '..', component);
}

/** Builds what is missing of any programs and returns the path of each. */
export async function buildPrograms<Name extends string>(
  builds: Readonly<Record<Name, Build>>,
  cache: string,
  progress: Progress,
): Promise<Readonly<Record<Name, string>>> {
  const paths: Record<string, string> = {};
  const goVersion = await findGo();
  for (const [key, build] of Object.entries<Build>(builds)) {
    paths[key] = await buildProgram(build, goVersion, cache, progress);
  }
  return paths as Record<Name, string>;
}

async function findGo(): Promise<string> {
  const result = await tryRun('go', ['env', 'GOVERSION']).catch(() => undefined);
  if (result?.code !== 0) throw new Error('the test host is built from source: install Go 1.26 or newer');
  return result.stdout.trim();
}

async function buildProgram(
  build: Build,
  goVersion: string,
  cache: string,
  progress: Progress,
): Promise<string> {
  const sources = await Promise.all(
    ['go.mod', 'go.sum', ...build.sources].map((file) => readFile(join(build.moduleDir, file))),
  );
  const key = contentKey([goVersion, build.target, build.tags ?? '', build.linkerFlags ?? '', ...sources]);
  const folder = await cachedFolder(join(cache, 'bin', `${build.name}-${key}`), async (unfinished) => {
    await compile(build, join(unfinished, build.name), progress);
    if (build.name === 'kubernetes') {
      for (const component of COMPONENTS) await symlink(build.name, join(unfinished, component));
    }
  });
  return join(folder, build.name);
}

async function compile(build: Build, output: string, progress: Progress): Promise<void> {
  const tags = build.tags ? ['-tags', build.tags] : [];
  const env = { ...process.env, CGO_ENABLED: build.cgo ? '1' : '0' };
  await mkdir(join(output, '..'), { recursive: true });
  progress.step(`building ${build.name} (minutes when nothing is cached)`);
  const total = (
    await run('go', ['list', '-deps', ...(build.test ? ['-test'] : []), ...tags, build.target], {
      cwd: build.moduleDir,
      env,
      timeoutMs: BUILD_TIMEOUT_MS,
    })
  )
    .trim()
    .split('\n').length;
  let compiled = 0;
  await run(
    'nice',
    [
      'go',
      ...(build.test ? ['test', '-c'] : ['build']),
      '-v',
      '-trimpath',
      ...tags,
      '-ldflags',
      ['-s -w', build.linkerFlags ?? ''].join(' ').trim(),
      '-o',
      output,
      build.target,
    ],
    {
      cwd: build.moduleDir,
      env,
      timeoutMs: BUILD_TIMEOUT_MS,
      onLine: () => {
        compiled += 1;
        if (compiled % 100 === 0) progress.step(`  ${build.name}: ${compiled} of ${total} packages compiled`);
      },
    },
  );
}

/** Upstream's source of the pause program, in the module cache since the build. */
export async function pauseSource(): Promise<string> {
  const folder = await run('go', ['list', '-m', '-f', '{{.Dir}}', 'k8s.io/kubernetes'], {
    cwd: moduleDir('kubernetes'),
  });
  return join(folder.trim(), 'build/pause/linux/pause.c');
}
