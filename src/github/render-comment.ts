// What the one comment says, for every state an environment can be in. Pure; the same state gives the same text, so
// that nothing is written when nothing changed (times are therefore absolute).
import { codeBlock, codeSpan, link } from './markdown.ts';

export interface CommentStep {
  /** `control plane`, `deploy`. */
  name: string;
  durationMs: number;
}

export interface CommentPreview {
  /** Empty for the main one. */
  name: string;
  url: string;
}

export type CommentContent =
  | { state: 'provisioning'; environment: string; commit: string; steps: readonly CommentStep[] }
  | {
      state: 'ready';
      environment: string;
      commit: string;
      /** The main one first; empty when the project exposes nothing. */
      previews: readonly CommentPreview[];
      /** RFC 3339. */
      expiresAt: string;
      steps: readonly CommentStep[];
    }
  | {
      state: 'failed';
      environment: string;
      commit: string;
      /** Names the object and the reason; may have several lines. */
      reason: string;
      steps: readonly CommentStep[];
    }
  /** Policy gives the pull request no environment. */
  | { state: 'refused'; reason: string }
  | {
      state: 'torn-down';
      environment: string;
      /** Why: `the pull request was merged`. */
      reason: string;
      /** What was deleted: `virtual cluster shop-412`. */
      deleted: readonly string[];
    };

const MAX_REASON_LENGTH = 6_000;
const COMMIT_LENGTH = 7;

export function renderComment(content: CommentContent): string {
  switch (content.state) {
    case 'provisioning':
      return paragraphs(
        headline('Preview is being made', content.environment, commitText(content.commit)),
        stepsText(content.steps),
      );
    case 'ready': {
      const [main, ...others] = content.previews;
      return paragraphs(
        headline(
          'Preview ready',
          ...(main ? [] : [content.environment]),
          ...(main ? [{ raw: link(main.url) }] : []),
          commitText(content.commit),
          { raw: `expires ${timeText(content.expiresAt)}` },
        ),
        others.map(({ name, url }) => `${codeSpan(name)} ${link(url)}`).join(' · '),
        stepsText(content.steps),
      );
    }
    case 'failed':
      return paragraphs(
        headline('Preview failed', content.environment, commitText(content.commit)),
        codeBlock(cut(content.reason)),
        stepsText(content.steps),
      );
    case 'refused':
      return paragraphs(headline('No preview'), codeBlock(cut(content.reason)));
    case 'torn-down':
      return paragraphs(
        headline('Preview deleted', content.environment),
        codeBlock(cut([content.reason, ...content.deleted.map((what) => `deleted: ${what}`)].join('\n'))),
      );
  }
}

/** Plain strings are shown as code; `raw` is Markdown of our own. */
function headline(title: string, ...parts: (string | { raw: string })[]): string {
  return [
    `**${title}**`,
    ...parts.map((part) => (typeof part === 'string' ? codeSpan(part) : part.raw)),
  ].join(' · ');
}

function commitText(commit: string): { raw: string } {
  return { raw: `commit ${codeSpan(commit.slice(0, COMMIT_LENGTH))}` };
}

/** `control plane 3.8 s · deploy 6.1 s`. */
function stepsText(steps: readonly CommentStep[]): string {
  return steps
    .map(({ name, durationMs }) => `${codeSpan(name)} ${(durationMs / 1000).toFixed(1)} s`)
    .join(' · ');
}

/** `2026-11-24 09:30 UTC`. */
function timeText(timestamp: string): string {
  return `${new Date(timestamp).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function cut(text: string): string {
  return text.length <= MAX_REASON_LENGTH ? text : `${text.slice(0, MAX_REASON_LENGTH)}\n…`;
}

function paragraphs(...parts: string[]): string {
  return parts.filter((part) => part !== '').join('\n\n');
}
