// Connections of one process as the kernel lists them, whatever network the process is in.
import { readdir, readFile, readlink } from 'node:fs/promises';

export interface Connection {
  localPort: number;
  remoteAddress: string;
  remotePort: number;
}

const ESTABLISHED = '01';
const CONNECTED = '03';

/** Established TCP connections over IPv4 that the process holds. */
export async function connectionsOf(pid: number): Promise<Connection[]> {
  const inodes = await socketsOf(pid);
  const rows = await table(pid, 'tcp');
  return rows.flatMap(([, local = '', remote = '', state, , , , , , inode = '']) =>
    state === ESTABLISHED && inodes.has(inode)
      ? [{ localPort: portOf(local), remoteAddress: addressOf(remote), remotePort: portOf(remote) }]
      : [],
  );
}

/** How many connections the process has accepted on a Unix socket. */
export async function acceptedOn(pid: number, path: string): Promise<number> {
  const inodes = await socketsOf(pid);
  const rows = await table(pid, 'unix');
  return rows.filter(
    ([, , , , , state, inode = '', name]) => state === CONNECTED && name === path && inodes.has(inode),
  ).length;
}

async function socketsOf(pid: number): Promise<Set<string>> {
  const folder = `/proc/${pid}/fd`;
  const targets = await Promise.all(
    (await readdir(folder)).map((name) => readlink(`${folder}/${name}`).catch(() => '')),
  );
  return new Set(targets.flatMap((target) => target.match(/^socket:\[(\d+)\]$/)?.[1] ?? []));
}

/** The rows of a table of /proc/net, without its head, in columns. */
async function table(pid: number, name: string): Promise<string[][]> {
  const text = await readFile(`/proc/${pid}/net/${name}`, 'utf8');
  const [, ...rows] = text.trimEnd().split('\n');
  return rows.map((row) => row.trim().split(/\s+/));
}

/** In the byte order of the machine, which is the wrong way round on all that test hosts run on. */
function addressOf(address: string): string {
  const bytes = address.slice(0, address.indexOf(':')).match(/../g) ?? [];
  return bytes
    .map((byte) => Number.parseInt(byte, 16))
    .reverse()
    .join('.');
}

function portOf(address: string): number {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16);
}
