// Sources come from GitHub's archive at exactly one commit; nothing in an archive leads out of its folder.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ArchiveLimits, extractArchive } from '../../../src/github/extract-archive.ts';
import { archiveLocation, fetchSource } from '../../../src/github/fetch-source.ts';
import { InvalidInputError, NotFoundError, UnavailableError } from '../../../src/lib/errors.ts';
import { startGitHub } from '../../support/github/github.ts';
import { createTestClient, leapingClock } from './test-client.ts';

const signal = new AbortController().signal;
const LIMITS: ArchiveLimits = { compressedBytes: 1_000_000, uncompressedBytes: 1_000_000, entries: 100 };

let parent: string;
let folder: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'source-'));
  folder = join(parent, 'source');
  await mkdir(folder);
});
afterEach(() => rm(parent, { recursive: true, force: true }));

describe('sources of a pull request', () => {
  test('are the files of exactly that commit', async () => {
    await using github = await startGitHub();
    const repository = await github.createRepository('acme/shop', {
      'deploy/web.yaml': 'old',
      'a b/ü.txt': 'x',
    });
    const pull = await github.openPullRequest({ repository, files: { 'deploy/web.yaml': 'new' } });
    const commit = pull.headCommit;
    await github.push(pull, { 'deploy/web.yaml': 'newer' });

    const client = createTestClient(github, leapingClock());
    await expect(fetchSource(client, { repository: 'acme/shop', commit }, folder, signal)).resolves.toEqual({
      leftOutLinks: [],
    });
    await expect(readFile(join(folder, 'deploy/web.yaml'), 'utf8')).resolves.toBe('new');
    await expect(readFile(join(folder, 'a b/ü.txt'), 'utf8')).resolves.toBe('x');
  });

  test('never hold links, wherever they lead', async () => {
    await using github = await startGitHub();
    const files = { 'deploy/passwd': { link: '/etc/passwd' }, 'deploy/inside': { link: '../a' }, a: 'a' };
    const repository = await github.createRepository('acme/shop', files);
    const { headCommit: commit } = await github.openPullRequest({ repository, files: { b: 'b' } });

    const client = createTestClient(github, leapingClock());
    await expect(fetchSource(client, { repository: 'acme/shop', commit }, folder, signal)).resolves.toEqual({
      leftOutLinks: ['deploy/inside', 'deploy/passwd'],
    });
    expect((await readdir(folder, { recursive: true })).toSorted()).toEqual(['a', 'b', 'deploy']);
  });

  test('of a commit that is not there are not found; of a branch are refused', async () => {
    await using github = await startGitHub();
    await github.createRepository('acme/shop', { a: 'a' });
    const client = createTestClient(github, leapingClock());
    const fetch = (commit: string) =>
      fetchSource(client, { repository: 'acme/shop', commit }, folder, signal);
    await expect(fetch('0'.repeat(40))).rejects.toThrow(NotFoundError);
    await expect(fetch('main')).rejects.toThrow(InvalidInputError);
  });

  test('that break off while they come are an outage', async () => {
    await using github = await startGitHub();
    const repository = await github.createRepository('acme/shop', { a: 'a' });
    const { headCommit: commit } = await github.openPullRequest({ repository, files: { b: 'b' } });
    const client = createTestClient(github, leapingClock());
    for (const status of ['dropped', 503] as const) {
      github.faults.add({ path: /^\/codeload\//, status, times: 1 });
      await expect(fetchSource(client, { repository: 'acme/shop', commit }, folder, signal)).rejects.toThrow(
        UnavailableError,
      );
    }
  });
});

describe('the address of an archive', () => {
  test.each([
    ['https://api.github.com', 'https://codeload.github.com/acme/shop/legacy.tar.gz/x?token=t'],
    ['https://ghe.example.com/api/v3', 'https://ghe.example.com/_codeload/acme/shop'],
    ['https://ghe.example.com/api/v3', 'https://codeload.ghe.example.com/acme/shop'],
  ])('beside %s is taken: %s', (base, location) => {
    expect(archiveLocation(base, location).href).toBe(location);
  });

  test.each([
    ['https://api.github.com', 'https://evil.example/x'],
    ['https://api.github.com', 'http://codeload.github.com/x'],
    ['https://api.github.com', 'https://codeload.github.com.evil.example/x'],
    ['https://api.github.com', 'https://codeload.github.com:8443/x'],
    ['https://api.github.com', 'https://user:password@codeload.github.com/x'],
    ['https://api.github.com', 'http://169.254.169.254/latest/meta-data'],
    ['https://api.github.com', 'file:///etc/passwd'],
    ['https://api.github.com', undefined],
  ])('elsewhere than %s is refused: %s', (base, location) => {
    expect(() => archiveLocation(base, location)).toThrow(
      expect.objectContaining({ code: 'UnexpectedArchiveHost' }),
    );
  });
});

interface Entry {
  path: string;
  type?: 'File' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'FIFO' | 'Directory';
  linkpath?: string;
  content?: string;
  mode?: number;
}

/** A tar as nobody's tool would write it. */
function archive(...entries: Entry[]): Buffer {
  const blocks = entries.map(({ path, type = 'File', linkpath = '', content = '', mode = 0o644 }) => {
    const header = new Header({ path, type, linkpath, mode, size: Buffer.byteLength(content) });
    const block = Buffer.alloc(512);
    header.encode(block);
    const body = Buffer.alloc(Math.ceil(Buffer.byteLength(content) / 512) * 512);
    body.write(content);
    return Buffer.concat([block, body]);
  });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}

describe('an archive', () => {
  const unpack = (bytes: Buffer, limits = LIMITS) =>
    extractArchive(new Response(new Uint8Array(bytes)).body ?? new ReadableStream(), folder, limits, signal);

  test.each<[string, Entry[]]>([
    ['an entry with ..', [{ path: 'top/../../evil', content: 'x' }]],
    ['an entry whose last part is ..', [{ path: 'top/a/..', type: 'Directory' }]],
    ['an absolute entry', [{ path: '/tmp/evil', content: 'x' }]],
    ['an entry with a backslash', [{ path: 'top/..\\evil', content: 'x' }]],
    ['a device', [{ path: 'top/null', type: 'CharacterDevice' }]],
    ['a pipe', [{ path: 'top/pipe', type: 'FIFO' }]],
  ])('with %s is refused', async (_title, entries) => {
    await expect(unpack(archive(...entries))).rejects.toThrow(
      expect.objectContaining({ code: 'InvalidArchive' }),
    );
    expect(await readdir(parent)).toEqual(['source']);
  });

  test.each<[string, Entry]>([
    ['a symbolic link', { path: 'top/dir', type: 'SymbolicLink', linkpath: '..' }],
    ['a hard link', { path: 'top/dir', type: 'Link', linkpath: '../target' }],
  ])('with %s and a file behind it writes nothing outside', async (_title, link) => {
    await writeFile(join(parent, 'target'), 'untouched');
    const { leftOutLinks } = await unpack(archive(link, { path: 'top/dir/target', content: 'evil' }));
    expect(leftOutLinks).toEqual(['dir']);
    await expect(readFile(join(parent, 'target'), 'utf8')).resolves.toBe('untouched');
    await expect(readFile(join(folder, 'dir/target'), 'utf8')).resolves.toBe('evil');
  });

  test('with a set-user-id file makes an ordinary one', async () => {
    await unpack(archive({ path: 'top/su', content: 'x', mode: 0o4755 }));
    expect((await stat(join(folder, 'su'))).mode & 0o7000).toBe(0);
  });

  test.each<[string, Partial<ArchiveLimits>]>([
    ['compressed bytes', { compressedBytes: 100 }],
    ['unpacked bytes', { uncompressedBytes: 50_000 }],
    ['entries', { entries: 2 }],
  ])('with more %s than allowed is refused', async (_title, limit) => {
    const entries = [0, 1, 2].map((index) => ({ path: `top/${index}`, content: `${index}`.repeat(30_000) }));
    await expect(unpack(archive(...entries), { ...LIMITS, ...limit })).rejects.toThrow(
      expect.objectContaining({ code: 'ArchiveTooLarge' }),
    );
  });

  test.each([
    ['no gzip', Buffer.from('<html>')],
    ['cut off', archive({ path: 'top/a', content: 'x'.repeat(5_000) }).subarray(0, 60)],
    ['no tar', gzipSync(Buffer.alloc(2048, 'x'))],
  ])('that is %s is refused', async (_title, bytes) => {
    await expect(unpack(bytes)).rejects.toThrow(expect.objectContaining({ code: 'InvalidArchive' }));
  });

  test('that never ends is left when the caller gives up', async () => {
    const abort = new AbortController();
    const endless = Readable.toWeb(
      Readable.from(
        (async function* () {
          yield archive({ path: 'top/a', content: 'x' }).subarray(0, 20);
          abort.abort(new Error('shutting down'));
          await new Promise(() => undefined);
        })(),
      ),
    );
    await expect(extractArchive(endless, folder, LIMITS, abort.signal)).rejects.toThrow('shutting down');
  });
});
