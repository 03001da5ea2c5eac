// The images that the test host brings along, under their upstream names, made from the binaries and
// Debian packages at hand.
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  type Binaries,
  COREDNS_VERSION,
  KINE_VERSION,
  KUBERNETES_VERSION,
  LOCAL_PATH_PROVISIONER_VERSION,
  pauseSource,
} from './binaries.ts';
import { cachedFolder, contentKey } from './cache.ts';
import { run } from './command.ts';
import { digestLayer, type Image, type ImageConfig, type Layer, packLayer, readLayer } from './oci.ts';
import { downloadPackage } from './packages.ts';
import type { Progress } from './progress.ts';

export const PAUSE_IMAGE = 'registry.k8s.io/pause:3.10';
export const COREDNS_IMAGE = `registry.k8s.io/coredns/coredns:${COREDNS_VERSION}`;
export const LOCAL_PATH_PROVISIONER_IMAGE = `docker.io/rancher/local-path-provisioner:${LOCAL_PATH_PROVISIONER_VERSION}`;
export const BUSYBOX_IMAGE = 'docker.io/library/busybox:1.35.0';
/** Debian's essential packages with CA certificates and the C++ library: the base of our own image. */
const BASE_IMAGE = 'localhost/mayfly-base:bookworm';

const BIND_LOW_PORTS = 'cap_net_bind_service=+ep';
const LAYER_FILE = 'layer.tar';
const DEBIAN_SUITE = 'bookworm';
const DEBIAN_TIMEOUT_MS = 10 * 60_000;

/** Raised when the way images are made changes, so that cached layers are made again. */
const RECIPE = '2';

/** Makes what is missing and returns every image of the host. */
export async function buildImages(binaries: Binaries, cache: string, progress: Progress): Promise<Image[]> {
  const layers = join(cache, 'layers');
  const root = await staticRoot(layers);
  const withProgram = async (program: string, target: string, capability?: string): Promise<Layer[]> => [
    root,
    await programLayer(layers, program, target, progress, capability),
  ];
  const image = (references: string | string[], imageLayers: Layer[], config: ImageConfig): Image => ({
    references: [references].flat(),
    layers: imageLayers,
    config,
  });
  const apiserver = '/usr/local/bin/kube-apiserver';
  const controllerManager = '/usr/local/bin/kube-controller-manager';
  return [
    image(
      `registry.k8s.io/kube-apiserver:${KUBERNETES_VERSION}`,
      await withProgram(binaries.apiserver, apiserver, BIND_LOW_PORTS),
      { Entrypoint: [apiserver] },
    ),
    image(
      `registry.k8s.io/kube-controller-manager:${KUBERNETES_VERSION}`,
      await withProgram(binaries.controllerManager, controllerManager),
      { Entrypoint: [controllerManager] },
    ),
    image(`docker.io/rancher/kine:${KINE_VERSION}`, await withProgram(binaries.kine, '/bin/kine'), {
      Entrypoint: ['/bin/kine'],
    }),
    image(COREDNS_IMAGE, await withProgram(binaries.coredns, '/coredns', BIND_LOW_PORTS), {
      Entrypoint: ['/coredns'],
      User: '65532:65532',
    }),
    image(
      LOCAL_PATH_PROVISIONER_IMAGE,
      await withProgram(binaries.localPathProvisioner, '/usr/bin/local-path-provisioner'),
      { Entrypoint: ['/usr/bin/local-path-provisioner'] },
    ),
    image(PAUSE_IMAGE, [await pauseLayer(layers)], { Entrypoint: ['/pause'], User: '65535:65535' }),
    image([BUSYBOX_IMAGE, 'docker.io/library/busybox:latest'], [root, await busyboxLayer(layers, progress)], {
      Cmd: ['sh'],
    }),
    image(
      ['docker.io/library/redis:7.0.15', 'docker.io/library/redis:7'],
      [await debianLayer(layers, 'redis', ['redis-server'], progress), await redisEntrypoint(layers)],
      { Entrypoint: ['docker-entrypoint.sh'], Cmd: ['redis-server'], WorkingDir: '/data' },
    ),
  ];
}

/** The image that Dockerfiles of the project build on. */
export async function buildBaseImage(cache: string, progress: Progress): Promise<Image> {
  const layer = await debianLayer(join(cache, 'layers'), 'base', ['ca-certificates', 'libstdc++6'], progress);
  return { references: [BASE_IMAGE], layers: [layer], config: { Cmd: ['bash'] } };
}

/** Makes a layer once per key from what `fill` puts into a folder. */
export async function cachedLayer(
  layers: string,
  name: string,
  key: readonly (string | Uint8Array)[],
  fill: (root: string) => Promise<void>,
): Promise<Layer> {
  const folder = await cachedFolder(
    join(layers, `${name}-${contentKey([RECIPE, ...key])}`),
    async (unfinished) => {
      const root = join(unfinished, 'root');
      await mkdir(root);
      await chmod(root, 0o755);
      await fill(root);
      await packLayer(root, join(unfinished, LAYER_FILE));
      await run('rm', ['-rf', root]);
    },
  );
  return readLayer(join(folder, LAYER_FILE));
}

/** What a static program expects to find: users, a writable /tmp. */
export function staticRoot(layers: string): Promise<Layer> {
  const passwd =
    'root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n';
  const group = 'root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n';
  return cachedLayer(layers, 'static', [passwd, group], async (root) => {
    await mkdir(join(root, 'etc'));
    await writeFile(join(root, 'etc/passwd'), passwd);
    await writeFile(join(root, 'etc/group'), group);
    await mkdir(join(root, 'tmp'));
    await chmod(join(root, 'tmp'), 0o1777);
  });
}

/** One program in a layer. */
export function programLayer(
  layers: string,
  program: string,
  target: string,
  progress: Progress,
  capability = '',
): Promise<Layer> {
  // The folder of a binary carries its version key.
  const key = [basename(dirname(program)), target, capability];
  return cachedLayer(layers, basename(program), key, async (root) => {
    progress.step(`packing ${basename(program)}`);
    const path = join(root, target);
    await mkdir(dirname(path), { recursive: true });
    await copyFile(program, path);
    await chmod(path, 0o755);
    if (capability !== '') await run('setcap', [capability, path]);
  });
}

export async function pauseLayer(layers: string): Promise<Layer> {
  const source = await pauseSource();
  const code = await readFile(source, 'utf8');
  return cachedLayer(layers, 'pause', [code], async (root) => {
    await run('gcc', ['-Os', '-static', '-DVERSION=3.10', '-o', join(root, 'pause'), source]);
    await run('strip', [join(root, 'pause')]);
  });
}

/** busybox under the name of each of its applets. */
export function busyboxLayer(layers: string, progress: Progress): Promise<Layer> {
  return cachedLayer(layers, 'busybox', [BUSYBOX_IMAGE], async (root) => {
    progress.step('fetching busybox');
    await unpackFile('busybox-static', './bin/busybox', root);
    const applets = (await run(join(root, 'bin/busybox'), ['--list'])).trim().split('\n');
    for (const applet of applets.filter((name) => name !== 'busybox')) {
      await symlink('busybox', join(root, 'bin', applet));
    }
  });
}

/** Takes one file out of a Debian package. */
export async function unpackFile(name: string, path: string, root: string): Promise<void> {
  const download = `${root}-download`;
  await mkdir(download);
  await downloadPackage(name, download);
  await run('sh', ['-c', `dpkg-deb --fsys-tarfile *.deb | tar -x -C ${root} ${path}`], { cwd: download });
  await run('rm', ['-rf', download]);
}

/** A small Debian with these packages, as mmdebstrap makes it from the machine's own mirror. */
export async function debianLayer(
  layers: string,
  name: string,
  packages: readonly string[],
  progress: Progress,
): Promise<Layer> {
  const key = contentKey([RECIPE, DEBIAN_SUITE, ...packages]);
  const folder = await cachedFolder(join(layers, `debian-${name}-${key}`), async (unfinished) => {
    progress.step(`making a Debian with ${packages.join(', ')}`);
    await run(
      'mmdebstrap',
      [
        ...['--quiet', '--variant=essential', `--include=${packages.join(',')}`],
        '--dpkgopt=path-exclude=/usr/share/{doc,man,locale,info}/*',
        ...[DEBIAN_SUITE, join(unfinished, LAYER_FILE)],
      ],
      { timeoutMs: DEBIAN_TIMEOUT_MS },
    );
    await digestLayer(join(unfinished, LAYER_FILE));
  });
  return readLayer(join(folder, LAYER_FILE));
}

/**
 * The contract of the official image: root becomes the redis user, options alone start the server, and
 * protected mode is off because a container has its own network.
 */
function redisEntrypoint(layers: string): Promise<Layer> {
  const scripts = {
    'docker-entrypoint.sh': `#!/bin/sh
set -e
if [ "\${1#-}" != "$1" ]; then set -- redis-server "$@"; fi
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  chown redis:redis .
  exec setpriv --reuid=redis --regid=redis --clear-groups "$@"
fi
exec "$@"
`,
    'redis-server': '#!/bin/sh\nexec /usr/bin/redis-server "$@" --protected-mode no\n',
  };
  return cachedLayer(layers, 'redis-entrypoint', Object.values(scripts), async (root) => {
    const folder = join(root, 'usr/local/bin');
    await mkdir(folder, { recursive: true });
    for (const [name, script] of Object.entries(scripts)) {
      await writeFile(join(folder, name), script);
      await chmod(join(folder, name), 0o755);
    }
    await mkdir(join(root, 'data'));
    await chmod(join(root, 'data'), 0o777);
  });
}
