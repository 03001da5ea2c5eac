// Puts the files of a repository, as they are at one commit, into a folder. Says where GitHub's archive is and fetches
// it from no other place; what comes out of the archive is src/github/extract-archive.ts's to judge.
import { InvalidInputError, TimeoutError, UnavailableError } from '../lib/errors.ts';
import type { GitHubClient } from './client.ts';
import { DEFAULT_ARCHIVE_LIMITS, type ExtractedArchive, extractArchive } from './extract-archive.ts';
import { splitRepository } from './repository-name.ts';

const ARCHIVE_TIMEOUT_MS = 120_000;

export interface SourceRef {
  /** `owner/name`. */
  repository: string;
  /** 40 hex digits: a branch could move in between. */
  commit: string;
}

/**
 * @param folder exists and is empty.
 * @throws InvalidInputError when the archive breaks the rules or limits of extract-archive.ts.
 */
export async function fetchSource(
  client: GitHubClient,
  { repository, commit }: SourceRef,
  folder: string,
  signal: AbortSignal,
): Promise<ExtractedArchive> {
  if (!/^[0-9a-f]{40}$/.test(commit)) {
    throw new InvalidInputError({ code: 'InvalidCommit', message: `"${commit}" is not a full commit id` });
  }
  const { headers } = await client.octokit.rest.repos.downloadTarballArchive({
    ...splitRepository(repository),
    ref: commit,
    request: { signal, redirect: 'manual' },
  });
  const location = archiveLocation(client.baseUrl, headers.location);
  const limited = AbortSignal.any([signal, AbortSignal.timeout(ARCHIVE_TIMEOUT_MS)]);
  try {
    // The address carries its own short-lived token: the installation's never leaves for another host.
    const response = await fetch(location, { redirect: 'error', signal: limited });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      throw new UnavailableError({
        code: 'GitHubUnavailable',
        message: `GitHub answered ${response.status} to the download of ${repository} at ${commit}`,
      });
    }
    return await extractArchive(response.body, folder, DEFAULT_ARCHIVE_LIMITS, limited);
  } catch (error) {
    signal.throwIfAborted();
    if (limited.aborted) {
      throw new TimeoutError({
        code: 'GitHubTimeout',
        message: `the download of ${repository} at ${commit} took longer than ${ARCHIVE_TIMEOUT_MS / 1000} s`,
        cause: error,
      });
    }
    if (error instanceof TypeError) {
      throw new UnavailableError({
        code: 'GitHubUnreachable',
        message: `the download of ${repository} at ${commit} failed`,
        cause: error,
      });
    }
    throw error;
  }
}

/**
 * Where the archive may be fetched from: the API's own host, or the `codeload.` host beside it
 * (`codeload.github.com` for `api.github.com`, `codeload.HOST` for a GitHub Enterprise Server), by the API's scheme.
 */
export function archiveLocation(baseUrl: string, location: string | undefined): URL {
  const base = new URL(baseUrl);
  const codeload = base.hostname === 'api.github.com' ? 'codeload.github.com' : `codeload.${base.host}`;
  const url = location === undefined ? null : URL.parse(location, `${baseUrl}/`);
  const allowed =
    url !== null && url.protocol === base.protocol && (url.host === base.host || url.host === codeload);
  if (!allowed || url.username !== '' || url.password !== '') {
    throw new UnavailableError({
      code: 'UnexpectedArchiveHost',
      message: `GitHub sent the download to ${url === null ? 'no address' : url.host}, which is not one of its hosts`,
    });
  }
  return url;
}
