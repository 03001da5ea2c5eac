// Debian packages that the test host needs; installed when one of their programs is missing.
import { delimiter, isAbsolute, join } from 'node:path';
import { exists } from './cache.ts';
import { run } from './command.ts';
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
  runc: 'runc',
  unzip: 'unzip',
};

const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const INSTALL_TIMEOUT_MS = 10 * 60_000;

export async function installPackages(progress: Progress): Promise<void> {
  const missing: string[] = [];
  for (const [name, program] of Object.entries(PACKAGES)) {
    if (!(await isInstalled(program))) missing.push(name);
  }
  if (missing.length === 0) return;
  progress.step(`installing Debian packages: ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-q'], { env, timeoutMs: INSTALL_TIMEOUT_MS });
  await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...missing], {
    env,
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
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
