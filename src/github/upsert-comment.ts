// The one comment of an environment on its pull request: written once, then changed in place, found again when its id
// was lost. An answer that got lost never makes a second comment.
import { backoffDelayMs } from '../lib/backoff.ts';
import { NotFoundError, UnavailableError } from '../lib/errors.ts';
import type { GitHubClient } from './client.ts';
import { RateLimitedError } from './errors.ts';
import { splitRepository } from './repository-name.ts';

export interface CommentTarget {
  /** `owner/name`. */
  repository: string;
  number: number;
  /** The environment's name: the comment carries it in a hidden marker. */
  environment: string;
  /** Where the comment was last time. */
  commentId?: number | undefined;
}

export interface UpsertedComment {
  commentId: number;
  action: 'created' | 'updated' | 'unchanged';
}

/** GitHub refuses longer bodies. */
const MAX_BODY_LENGTH = 65_536;
const MAX_PAGES = 100;
const CREATE_ATTEMPTS = 4;
const BACKOFF = { baseMs: 1_000, maxMs: 8_000 };

/** @throws NotFoundError when the pull request is gone. */
export async function upsertComment(
  client: GitHubClient,
  target: CommentTarget,
  text: string,
  signal: AbortSignal,
): Promise<UpsertedComment> {
  const marker = commentMarker(target.environment);
  const body = withMarker(marker, text);
  for (let attempt = 0; ; attempt++) {
    const existing =
      (await readComment(client, target, marker, signal)) ??
      (await findComment(client, target, marker, signal));
    if (existing?.body === body) return { commentId: existing.id, action: 'unchanged' };
    if (existing) {
      await client.octokit.rest.issues.updateComment({
        ...splitRepository(target.repository),
        comment_id: existing.id,
        body,
        request: { signal },
      });
      return { commentId: existing.id, action: 'updated' };
    }
    try {
      const { data } = await client.octokit.rest.issues.createComment({
        ...splitRepository(target.repository),
        issue_number: target.number,
        body,
        request: { signal },
      });
      return { commentId: data.id, action: 'created' };
    } catch (error) {
      const lost = error instanceof UnavailableError && !(error instanceof RateLimitedError);
      if (!lost || attempt + 1 >= CREATE_ATTEMPTS) throw error;
    }
    await client.clock.sleep(backoffDelayMs(BACKOFF, attempt), signal);
  }
}

/** Names are DNS labels, so that nothing in one can end the HTML comment. */
export function commentMarker(environment: string): string {
  return `<!-- mayfly.dev/environment: ${environment} -->`;
}

function withMarker(marker: string, text: string): string {
  const room = MAX_BODY_LENGTH - marker.length - 1;
  const cut = text.length <= room ? text : `${text.slice(0, room - 2)}\n…`;
  return `${marker}\n${cut}`;
}

interface OwnComment {
  id: number;
  body: string;
}

interface GitHubComment {
  id: number;
  body?: string;
  performed_via_github_app?: { id: number } | null;
}

/** Anybody can write the marker; only the app writes as the app. */
function asOwn(comment: GitHubComment, appId: number, marker: string): OwnComment | undefined {
  const isOwn = comment.performed_via_github_app?.id === appId && comment.body?.startsWith(marker);
  return isOwn ? { id: comment.id, body: comment.body ?? '' } : undefined;
}

async function readComment(
  { octokit, appId }: GitHubClient,
  { repository, commentId }: CommentTarget,
  marker: string,
  signal: AbortSignal,
): Promise<OwnComment | undefined> {
  if (commentId === undefined) return undefined;
  try {
    const { data } = await octokit.rest.issues.getComment({
      ...splitRepository(repository),
      comment_id: commentId,
      request: { signal },
    });
    return asOwn(data, appId, marker);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** The oldest one, should there ever be two. */
async function findComment(
  { octokit, appId }: GitHubClient,
  { repository, number }: CommentTarget,
  marker: string,
  signal: AbortSignal,
): Promise<OwnComment | undefined> {
  const pages = octokit.paginate.iterator(octokit.rest.issues.listComments, {
    ...splitRepository(repository),
    issue_number: number,
    per_page: 100,
    request: { signal },
  });
  let count = 0;
  for await (const { data } of pages) {
    for (const comment of data) {
      const own = asOwn(comment, appId, marker);
      if (own) return own;
    }
    if (++count >= MAX_PAGES) break;
  }
  return undefined;
}
