// Unpacks a gzipped tar that a stranger may have made: inside the folder only, files and folders only, and no more
// than the limits. GitHub's archives have one top folder, which is left out.
import { Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { createGunzip } from 'node:zlib';
import { type ReadEntry, Unpack } from 'tar';
import { errorMessage, InvalidInputError } from '../lib/errors.ts';

export interface ArchiveLimits {
  compressedBytes: number;
  uncompressedBytes: number;
  entries: number;
}

export const DEFAULT_ARCHIVE_LIMITS: ArchiveLimits = {
  compressedBytes: 128 * 1024 * 1024,
  uncompressedBytes: 512 * 1024 * 1024,
  entries: 50_000,
};

export interface ExtractedArchive {
  /** Links, relative to the folder, in order and at most 100: they are never created, wherever they lead. */
  leftOutLinks: string[];
}

const MAX_REPORTED_LINKS = 100;

/**
 * @throws InvalidInputError with code `ArchiveTooLarge` or `InvalidArchive`; the folder then holds a part of the files.
 */
export async function extractArchive(
  archive: ReadableStream<Uint8Array>,
  folder: string,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<ExtractedArchive> {
  const leftOutLinks: string[] = [];
  let refusal: InvalidInputError | undefined;
  let entries = 0;

  const accept = (path: string, entry: ReadEntry): boolean => {
    if (refusal) return false;
    if (++entries > limits.entries) {
      refusal = tooLarge(`more than ${limits.entries} files`);
    } else if (!isPlainPath(path)) {
      refusal = invalid(`entry ${JSON.stringify(path)} leads out of the folder`);
    } else if (entry.type === 'File' || entry.type === 'OldFile' || entry.type === 'Directory') {
      // Read and run as it says, writable by us alone, and no set-user-id.
      entry.mode = (entry.mode ?? 0o644) & 0o755;
      return true;
    } else if (entry.type === 'SymbolicLink' || entry.type === 'Link') {
      if (leftOutLinks.length < MAX_REPORTED_LINKS) leftOutLinks.push(path.split('/').slice(1).join('/'));
    } else {
      refusal = invalid(`entry ${JSON.stringify(path)} is a ${entry.type}, not a file`);
    }
    return false;
  };

  const unpack = new Unpack({
    cwd: folder,
    strip: 1,
    strict: true,
    processUmask: 0o022,
    noMtime: true,
    preserveOwner: false,
    filter: (path, entry) => 'header' in entry && accept(path, entry),
  });
  try {
    await pipeline(
      Readable.fromWeb(archive),
      atMost(limits.compressedBytes, 'compressed'),
      createGunzip(),
      atMost(limits.uncompressedBytes, 'unpacked'),
      writableTo(unpack, () => refusal),
      { signal },
    );
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof InvalidInputError || !isBadArchive(error)
      ? error
      : invalid(errorMessage(error), error);
  }
  return { leftOutLinks };
}

/** tar's own streams cannot be destroyed, so a pipeline that fails would wait for them for ever. */
function writableTo(unpack: Unpack, refusal: () => Error | undefined): Writable {
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const isReady = unpack.write(chunk);
      const refused = refusal();
      if (refused || isReady) done(refused);
      else unpack.once('drain', () => done());
    },
    final(done) {
      unpack.once('close', () => done(refusal()));
      unpack.end();
    },
  });
  unpack.on('error', (error) => sink.destroy(error instanceof Error ? error : new Error(String(error))));
  return sink;
}

function isPlainPath(path: string): boolean {
  return (
    !path.startsWith('/') &&
    !path.includes('\\') &&
    !path.includes('\0') &&
    path.split('/').every((part) => part !== '..')
  );
}

/** zlib and tar name what is wrong with their input in `code`. */
function isBadArchive(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  return code.startsWith('Z_') || code.startsWith('TAR_') || 'tarCode' in error;
}

function atMost(limitBytes: number, what: string): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.byteLength;
      if (bytes > limitBytes) done(tooLarge(`more than ${limitBytes} bytes ${what}`));
      else done(null, chunk);
    },
  });
}

function tooLarge(what: string): InvalidInputError {
  return new InvalidInputError({ code: 'ArchiveTooLarge', message: `the repository's archive has ${what}` });
}

function invalid(what: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError({
    code: 'InvalidArchive',
    message: `the repository's archive: ${what}`,
    cause,
  });
}
