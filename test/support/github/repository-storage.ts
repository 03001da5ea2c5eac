// The git side of the test GitHub: one bare repository for each network of forks, written with `git fast-import`, so that
// commits, trees and archives are real ones.
import { execFile, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';

/** Contents by path; `null` deletes, `{ link }` is a symbolic link. */
export type Files = Record<string, string | null | { link: string }>;

export interface CommitRequest {
  branch: string;
  /** Absent: a first commit. */
  parent?: string;
  files: Files;
  message: string;
}

export interface RepositoryStorage {
  /** Points `branch` at a new commit, by force. @returns its id. */
  commit(request: CommitRequest): Promise<string>;
  /** @returns undefined when there is no such commit, branch or tag. */
  resolve(ref: string): Promise<string | undefined>;
  readEntry(commit: string, path: string): Promise<TreeEntry | undefined>;
  changedFiles(base: string, head: string): Promise<{ status: string; path: string }[]>;
  /** `git archive`, gzipped. */
  archive(commit: string, prefix: string): Readable;
}

export interface TreeEntry {
  type: 'file' | 'symlink' | 'dir';
  sha: string;
  content: Buffer;
}

const ENVIRONMENT = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
};
const AUTHOR = 'Test Author <author@example.com>';
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

const run = promisify(execFile);

export async function createRepositoryStorage(folder: string): Promise<RepositoryStorage> {
  await mkdir(folder, { recursive: true });
  const git = async (...args: string[]): Promise<Buffer> => {
    const options = {
      cwd: folder,
      env: ENVIRONMENT,
      maxBuffer: MAX_OUTPUT_BYTES,
      encoding: 'buffer',
    } as const;
    return (await run('git', args, options)).stdout;
  };
  await git('init', '--bare', '--quiet', '--initial-branch=main', '.');
  let pending: Promise<unknown> = Promise.resolve();
  let lastSecond = Math.floor(Date.now() / 1000);

  const importCommit = async ({ branch, parent, files, message }: CommitRequest): Promise<string> => {
    // Each commit has a second of its own, so that the same files pushed again make another commit.
    lastSecond++;
    const ref = `refs/heads/${branch}`;
    const stream = [`commit ${ref}\ncommitter ${AUTHOR} ${lastSecond} +0000\n${data(message)}`];
    if (parent !== undefined) stream.push(`from ${parent}\n`);
    for (const [path, content] of Object.entries(files)) {
      if (content === null) stream.push(`D ${path}\n`);
      else if (typeof content === 'string') stream.push(`M 100644 inline ${path}\n${data(content)}`);
      else stream.push(`M 120000 inline ${path}\n${data(content.link)}`);
    }
    await feed(folder, ['fast-import', '--quiet', '--force'], stream.join(''));
    return (await git('rev-parse', ref)).toString().trim();
  };

  return {
    commit(request) {
      const done = pending.then(() => importCommit(request));
      pending = done.catch(() => undefined);
      return done;
    },
    async resolve(ref) {
      try {
        return (await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`))
          .toString()
          .trim();
      } catch {
        return undefined;
      }
    },
    async readEntry(commit, path) {
      const line = (await git('ls-tree', '-z', commit, '--', path)).toString().split('\0')[0];
      const [mode = '', kind = '', sha = ''] = line?.split(/[ \t]/) ?? [];
      if (sha === '') return undefined;
      const content = await git('cat-file', kind, sha);
      return { type: kind === 'tree' ? 'dir' : mode === '120000' ? 'symlink' : 'file', sha, content };
    },
    async changedFiles(base, head) {
      const fields = (await git('diff', '--name-status', '--no-renames', '-z', `${base}...${head}`))
        .toString()
        .split('\0');
      const changed: { status: string; path: string }[] = [];
      for (let index = 0; index + 1 < fields.length; index += 2) {
        changed.push({ status: fields[index] ?? '', path: fields[index + 1] ?? '' });
      }
      return changed;
    },
    archive(commit, prefix) {
      const child = spawn('git', ['archive', '--format=tar.gz', `--prefix=${prefix}/`, commit], {
        cwd: folder,
        env: ENVIRONMENT,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      return child.stdout;
    },
  };
}

function data(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}\n`;
}

function feed(folder: string, args: string[], input: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { cwd: folder, env: ENVIRONMENT, stdio: ['pipe', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`git ${args[0]} exited with ${code}: ${complaint}`));
    });
    child.stdin.end(input);
  });
}
