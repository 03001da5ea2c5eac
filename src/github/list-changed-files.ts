// Which files a pull request changes, for policies that look at paths.
import type { GitHubClient } from './client.ts';
import type { PullRequestRef } from './read-pull-request.ts';
import { splitRepository } from './repository-name.ts';

/** GitHub lists no more than these (docs.github.com, "List pull requests files"). */
const MAX_LISTED_FILES = 3_000;

export interface ChangedFiles {
  /** From the root of the repository; a renamed file counts under both names. */
  paths: string[];
  /** False when the pull request changes more than GitHub lists. */
  complete: boolean;
}

export async function listChangedFiles(
  { octokit }: GitHubClient,
  { repository, number }: Pick<PullRequestRef, 'repository' | 'number'>,
  signal: AbortSignal,
): Promise<ChangedFiles> {
  const pages = octokit.paginate.iterator(octokit.rest.pulls.listFiles, {
    ...splitRepository(repository),
    pull_number: number,
    per_page: 100,
    request: { signal },
  });
  const paths: string[] = [];
  let files = 0;
  for await (const { data } of pages) {
    for (const { filename, previous_filename } of data) {
      paths.push(filename, ...(previous_filename === undefined ? [] : [previous_filename]));
    }
    files += data.length;
    if (files >= MAX_LISTED_FILES) break;
  }
  return { paths, complete: files < MAX_LISTED_FILES };
}
