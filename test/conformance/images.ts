// The images that upstream's conformance tests run, under their names, made from the programs at hand and Debian packages.
// What a test looks at is as in upstream's: paths, entry points, users, a page of the web servers.
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Binaries, componentPath } from '../host/binaries.ts';
import { run } from '../host/command.ts';
import {
  busyboxLayer,
  cachedLayer,
  debianLayer,
  pauseLayer,
  programLayer,
  staticRoot,
  unpackFile,
} from '../host/images.ts';
import type { Image, Layer } from '../host/oci.ts';
import type { Progress } from '../host/progress.ts';
import { imageSources, type Programs } from './programs.ts';

const REGISTRY = 'registry.k8s.io/e2e-test-images';
const named = (...names: string[]) => names.map((name) => `${REGISTRY}/${name}`);

export interface ImageParts {
  host: Binaries;
  programs: Programs;
  cache: string;
}

/** Makes what is missing and returns every image that conformance tests run. */
export async function buildTestImages(parts: ImageParts, progress: Progress): Promise<Image[]> {
  const { host, programs } = parts;
  const layers = join(parts.cache, 'layers');
  const sources = await imageSources();
  const root = await staticRoot(layers);
  const busybox = [root, await busyboxLayer(layers, progress), await shellLayer(layers, progress)];
  const network = await debianLayer(
    layers,
    'network-tools',
    [
      'bash',
      'bind9-dnsutils',
      'curl',
      'iperf',
      'iproute2',
      'iputils-ping',
      'netcat-openbsd',
      'procps',
      'wget',
    ],
    progress,
  );
  const agnhost = [network, await agnhostLayer(layers, programs.agnhost, sources)];
  const coredns = await programLayer(layers, host.coredns, '/coredns', progress);
  return [
    {
      references: named('agnhost:2.56'),
      layers: [...agnhost, coredns],
      config: { Entrypoint: ['/agnhost'], Cmd: ['pause'] },
    },
    {
      references: named('nautilus:1.7'),
      layers: [...agnhost, await pageLayer(layers, join(sources, 'nautilus/html'))],
      config: { Entrypoint: ['/agnhost'], Cmd: ['test-webserver'] },
    },
    { references: named('jessie-dnsutils:1.7'), layers: [network, coredns], config: { Cmd: ['bash'] } },
    {
      references: named('busybox:1.37.0-1', 'busybox:1.36.1-1'),
      layers: busybox,
      config: { Cmd: ['sh'] },
    },
    { references: named('nonroot:1.4'), layers: busybox, config: { Cmd: ['sh'], User: '1234' } },
    {
      references: named('nonewprivs:1.3'),
      layers: [...busybox, await setuidLayer(layers, programs.nonewprivs)],
      config: { Cmd: ['nnp'] },
    },
    {
      references: named('httpd:2.4.38-4', 'httpd:2.4.39-4'),
      layers: [
        await debianLayer(layers, 'apache', ['apache2-bin', 'curl', 'media-types'], progress),
        await apacheLayer(layers),
      ],
      config: { Cmd: ['httpd-foreground'], WorkingDir: '/usr/local/apache2' },
    },
    {
      references: named('nginx:1.14-4', 'nginx:1.15-4'),
      layers: [await debianLayer(layers, 'nginx', ['nginx-light', 'curl'], progress)],
      config: { Cmd: ['nginx', '-g', 'daemon off;'] },
    },
    {
      references: named('sample-apiserver:1.29.2'),
      layers: [root, await programLayer(layers, programs.sampleApiserver, '/sample-apiserver', progress)],
      config: { Entrypoint: ['/sample-apiserver'] },
    },
    {
      references: ['registry.k8s.io/etcd:3.6.4-0'],
      layers: [
        root,
        await programLayer(layers, componentPath(host, 'etcd'), '/usr/local/bin/etcd', progress),
      ],
      config: { Cmd: ['etcd'] },
    },
    {
      references: ['registry.k8s.io/pause:3.10.1'],
      layers: [await pauseLayer(layers)],
      config: { Entrypoint: ['/pause'], User: '65535:65535' },
    },
  ];
}

async function shellLayer(layers: string, progress: Progress): Promise<Layer> {
  const source = join(import.meta.dirname, 'shell.c');
  return cachedLayer(layers, 'shell', [await readFile(source)], async (root) => {
    progress.step('fetching bash');
    await unpackFile('bash-static', './bin/bash-static', root);
    await run('gcc', ['-Os', '-static', '-o', join(root, 'bin/sh'), source]);
    await run('strip', [join(root, 'bin/sh')]);
  });
}

/** The program with what its image has besides: certificates of `porter`, and a user and groups that tests ask for by name. */
function agnhostLayer(layers: string, program: string, sources: string): Promise<Layer> {
  const users = ['user-defined-in-image:x:1000:1000::/home:/bin/sh'];
  const groups = ['user-defined-in-image:x:1000:', 'group-defined-in-image:x:50000:user-defined-in-image'];
  const key = [basename(dirname(program)), ...users, ...groups];
  return cachedLayer(layers, 'agnhost', key, async (root) => {
    await copyFile(program, join(root, 'agnhost'));
    await chmod(join(root, 'agnhost'), 0o755);
    await symlink('agnhost', join(root, 'agnhost-2'));
    await mkdir(join(root, 'uploads'));
    for (const name of ['localhost.crt', 'localhost.key']) {
      await copyFile(join(sources, 'agnhost/porter', name), join(root, name));
    }
    const base =
      'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n';
    await mkdir(join(root, 'etc'));
    await writeFile(join(root, 'etc/passwd'), `${base}${users.join('\n')}\n`);
    await writeFile(join(root, 'etc/group'), `root:x:0:\nnogroup:x:65534:\n${groups.join('\n')}\n`);
  });
}

function pageLayer(layers: string, folder: string): Promise<Layer> {
  return cachedLayer(layers, 'nautilus', [basename(dirname(folder))], async (root) => {
    for (const name of ['nautilus.jpg', 'data.json']) {
      await copyFile(join(folder, name), join(root, name));
      await chmod(join(root, name), 0o644);
    }
  });
}

function setuidLayer(layers: string, program: string): Promise<Layer> {
  return cachedLayer(layers, 'nonewprivs', [basename(dirname(program))], async (root) => {
    const path = join(root, 'usr/local/bin/nnp');
    await mkdir(dirname(path), { recursive: true });
    await copyFile(program, path);
    await chmod(path, 0o4755);
  });
}

/** Debian's Apache where the official image has it. */
async function apacheLayer(layers: string): Promise<Layer> {
  const home = '/usr/local/apache2';
  const modules = ['mpm_event', 'authz_core', 'dir', 'mime'];
  const configuration = [
    `ServerRoot ${home}`,
    'ServerName localhost',
    'Listen 80',
    ...modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`),
    'User www-data',
    'Group www-data',
    'PidFile logs/httpd.pid',
    'ErrorLog /proc/self/fd/2',
    'TypesConfig /etc/mime.types',
    `DocumentRoot ${home}/htdocs`,
    'DirectoryIndex index.html',
    '',
  ].join('\n');
  const start = `#!/bin/sh\nrm -f ${home}/logs/httpd.pid\nexec apache2 -f ${home}/conf/httpd.conf -DFOREGROUND "$@"\n`;
  const page = '<html><body><h1>It works!</h1></body></html>\n';
  return cachedLayer(layers, 'apache-home', [configuration, start, page], async (root) => {
    for (const folder of ['conf', 'htdocs', 'logs'])
      await mkdir(join(root, home, folder), { recursive: true });
    await mkdir(join(root, 'usr/local/bin'), { recursive: true });
    await writeFile(join(root, home, 'conf/httpd.conf'), configuration);
    await writeFile(join(root, home, 'htdocs/index.html'), page);
    await writeFile(join(root, 'usr/local/bin/httpd-foreground'), start);
    await chmod(join(root, 'usr/local/bin/httpd-foreground'), 0o755);
  });
}
