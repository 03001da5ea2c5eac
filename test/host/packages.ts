// Debian packages that the test host and the tests need; installed when one of their programs is missing.
import { chmod } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { exists } from './cache.ts';
import { run, tryRun } from './command.ts';
import type { Progress } from './progress.ts';

/** Each package with a program that it brings: a name on the path or an absolute path. */
const PACKAGES: Readonly<Record<string, string>> = {
  buildah: 'buildah',
  conntrack: 'conntrack',
  containerd: 'containerd',
  'containernetworking-plugins': '/usr/lib/cni/bridge',
  gcc: 'gcc',
  ipset: 'ipset',
  iproute2: 'ip',
  iptables: 'iptables',
  'libc6-dev': '/usr/include/stdio.h',
  'libcap2-bin': 'setcap',
  mmdebstrap: 'mmdebstrap',
  nftables: 'nft',
  procps: 'sysctl',
  // The same program is redis-server by its other name; the package of that name would also start one.
  'redis-tools': 'redis-check-rdb',
  runc: 'runc',
  unzip: 'unzip',
};

const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const APT_TIMEOUT_MS = 10 * 60_000;

export async function installPackages(progress: Progress): Promise<void> {
  const missing: string[] = [];
  for (const [name, program] of Object.entries(PACKAGES)) {
    if (!(await isInstalled(program))) missing.push(name);
  }
  if (missing.length === 0) return;
  progress.step(`installing Debian packages: ${missing.join(' ')}`);
  await updateIndex();
  await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...missing], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeoutMs: APT_TIMEOUT_MS,
  });
}

/** Downloads a Debian package, without installing it, into an existing folder. */
export async function downloadPackage(name: string, folder: string): Promise<void> {
  const download = () =>
    tryRun('apt-get', ['download', '-q', name], { cwd: folder, timeoutMs: APT_TIMEOUT_MS });
  // apt writes the file as a user of its own.
  await chmod(folder, 0o777);
  if ((await download()).code === 0) return;
  await updateIndex();
  const result = await download();
  if (result.code !== 0) throw new Error(`cannot download ${name}: ${result.stderr.trim()}`);
}

/** A source that we do not need may fail; what is missing then shows when packages are asked for. */
async function updateIndex(): Promise<void> {
  await tryRun('apt-get', ['update', '-q'], { timeoutMs: APT_TIMEOUT_MS });
}

/** Root's login shell has the sbin folders on its path; other shells may not. */
export function withSystemPath(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return { ...env, PATH: [env.PATH ?? '', ...SYSTEM_PATH].join(delimiter) };
}

async function isInstalled(program: string): Promise<boolean> {
  if (isAbsolute(program)) return exists(program);
  const folders = (withSystemPath().PATH ?? '').split(delimiter);
  for (const folder of folders) {
    if (folder !== '' && (await exists(join(folder, program)))) return true;
  }
  return false;
}
