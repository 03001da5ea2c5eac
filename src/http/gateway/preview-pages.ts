// What a visitor of a preview sees when the app cannot answer. Says nothing about previews that the visitor does not know of.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { findCondition } from '../../environments/conditions.ts';
import { phaseOf } from '../../environments/phase.ts';
import type { Environment } from '../../environments/resource.ts';

export interface PreviewPage {
  status: number;
  title: string;
  text: string;
  /** The visitor's browser tries again after so many seconds. */
  retryAfterSeconds?: number;
}

const RETRY_SECONDS = 3;

export const unknownPreview: PreviewPage = {
  status: 404,
  title: 'No such preview',
  text: 'There is no preview at this address. It may have ended, or never have been.',
};

export const silentPreview: PreviewPage = {
  status: 502,
  title: 'The preview does not answer',
  text: 'Its app does not take connections at the moment.',
  retryAfterSeconds: RETRY_SECONDS,
};

/** For an environment whose preview is not published. */
export function unpublishedPreview(environment: Environment): PreviewPage {
  const message = findCondition(environment.status?.conditions, 'Ready')?.message ?? '';
  switch (phaseOf(environment)) {
    case 'Terminating':
      return { status: 503, title: 'The preview has ended', text: 'It is being torn down.' };
    case 'Failed':
      return { status: 503, title: 'The preview failed', text: message };
    default:
      return {
        status: 503,
        title: 'The preview is starting',
        text: message,
        retryAfterSeconds: RETRY_SECONDS,
      };
  }
}

export function sendPage(
  request: IncomingMessage,
  response: ServerResponse,
  { status, title, text, retryAfterSeconds }: PreviewPage,
): void {
  const wantsHtml = /\btext\/html\b/.test(request.headers.accept ?? '');
  const body = wantsHtml ? html(title, text, retryAfterSeconds) : `${title}\n${text}\n`;
  response.writeHead(status, {
    'content-type': `text/${wantsHtml ? 'html' : 'plain'}; charset=utf-8`,
    'content-length': Buffer.byteLength(body),
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-robots-tag': 'noindex, nofollow',
    connection: 'close',
    ...(retryAfterSeconds && { 'retry-after': String(retryAfterSeconds) }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function html(title: string, text: string, retryAfterSeconds: number | undefined): string {
  const refresh = retryAfterSeconds ? `<meta http-equiv="refresh" content="${retryAfterSeconds}">` : '';
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">${refresh}<title>${escapeHtml(title)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:20vh auto;padding:0 1rem}p{white-space:pre-line}</style></head>
<body><h1>${escapeHtml(title)}</h1><p>${escapeHtml(text)}</p></body>
</html>
`;
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
