// Reads one small text file of a repository as it is at a commit or on a branch.
import { InvalidInputError, NotFoundError } from '../lib/errors.ts';
import type { GitHubClient } from './client.ts';
import { splitRepository } from './repository-name.ts';

/** Larger files are not configuration. GitHub itself includes no content above 1 MB. */
const MAX_FILE_BYTES = 256 * 1024;

export interface FileRef {
  /** `owner/name`. */
  repository: string;
  /** Commit or branch. */
  ref: string;
  /** From the root of the repository, no leading slash. */
  path: string;
}

/**
 * @returns undefined when there is no such file at that commit.
 * @throws InvalidInputError when it is a folder or a link, is too large or is not UTF-8.
 */
export async function fetchFile(
  { octokit }: GitHubClient,
  { repository, ref, path }: FileRef,
  signal: AbortSignal,
): Promise<string | undefined> {
  const content = await octokit.rest.repos
    .getContent({ ...splitRepository(repository), path, ref, request: { signal } })
    .then(({ data }) => data)
    .catch((error: unknown) => {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    });
  if (content === undefined) return undefined;
  if (Array.isArray(content) || content.type !== 'file' || !('content' in content)) {
    throw new InvalidInputError({ code: 'NotAFile', message: `${path} is not a regular file` });
  }
  if (content.size > MAX_FILE_BYTES) {
    throw new InvalidInputError({
      code: 'FileTooLarge',
      message: `${path} has ${content.size} bytes, the limit is ${MAX_FILE_BYTES}`,
    });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(content.content, 'base64'));
  } catch (error) {
    throw new InvalidInputError({ code: 'NotText', message: `${path} is not UTF-8`, cause: error });
  }
}
