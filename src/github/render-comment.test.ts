// The comment as people see it, and as a stranger's text must not change it.
import { expect, test } from 'vitest';
import { codeBlock, codeSpan, link } from './markdown.ts';
import { renderComment } from './render-comment.ts';

const COMMIT = '3f9c2ab0000000000000000000000000000000ff';
const steps = [
  { name: 'control plane', durationMs: 3_812 },
  { name: 'deploy', durationMs: 6_090 },
];

test('a ready preview says where it is, what it shows, how long it lasts and what took how long', () => {
  expect(
    renderComment({
      state: 'ready',
      environment: 'shop-412',
      commit: COMMIT,
      previews: [
        { name: '', url: 'https://shop-412-abc.preview.example.com' },
        { name: 'api', url: 'https://api--shop-412-abc.preview.example.com' },
      ],
      expiresAt: '2026-11-24T09:30:12.000Z',
      steps,
    }),
  ).toBe(
    [
      '**Preview ready** · <https://shop-412-abc.preview.example.com/> · commit `3f9c2ab` · expires 2026-11-24 09:30 UTC',
      '`api` <https://api--shop-412-abc.preview.example.com/>',
      '`control plane` 3.8 s · `deploy` 6.1 s',
    ].join('\n\n'),
  );
});

test('an environment that exposes nothing is named instead of linked', () => {
  const text = renderComment({
    state: 'ready',
    environment: 'shop-412',
    commit: COMMIT,
    previews: [],
    expiresAt: '2026-11-24T09:30:12.000Z',
    steps: [],
  });
  expect(text).toBe('**Preview ready** · `shop-412` · commit `3f9c2ab` · expires 2026-11-24 09:30 UTC');
});

test('a failed preview says the reason before anything else', () => {
  const reason =
    'Deployment web is not available: container app exits with 1\nService redis has no ready endpoints';
  expect(renderComment({ state: 'failed', environment: 'shop-412', commit: COMMIT, reason, steps })).toBe(
    [
      '**Preview failed** · `shop-412` · commit `3f9c2ab`',
      `\`\`\`text\n${reason}\n\`\`\``,
      '`control plane` 3.8 s · `deploy` 6.1 s',
    ].join('\n\n'),
  );
});

test.each([
  [
    { state: 'provisioning', environment: 'e', commit: COMMIT, steps: [] },
    '**Preview is being made** · `e` · commit `3f9c2ab`',
  ],
  [{ state: 'refused', reason: 'from a fork' }, '**No preview**\n\n```text\nfrom a fork\n```'],
  [
    {
      state: 'torn-down',
      environment: 'e',
      reason: 'the pull request was merged',
      deleted: ['virtual cluster e'],
    },
    '**Preview deleted** · `e`\n\n```text\nthe pull request was merged\ndeleted: virtual cluster e\n```',
  ],
] as const)('%j', (content, text) => {
  expect(renderComment(content)).toBe(text);
});

test('a reason of any length fits', () => {
  const text = renderComment({
    state: 'failed',
    environment: 'e',
    commit: COMMIT,
    reason: 'x'.repeat(100_000),
    steps: [],
  });
  expect(text.length).toBeLessThan(10_000);
});

test.each([
  ['a`b', '``a`b``'],
  ['`` ` ', '``` `` ` ```'],
  ['@octocat <img src=x onerror=alert(1)> #1\n# title', '`@octocat <img src=x onerror=alert(1)> #1 # title`'],
  ['', '` `'],
])('code span of %j', (text, markdown) => {
  expect(codeSpan(text)).toBe(markdown);
});

test.each([
  ['a\n```\n<script>\n```` b', '`````text\na\n```\n<script>\n```` b\n`````'],
  ['\u001b[31mred\u0000\r\nnext\ttab', '```text\n[31mred\nnext\ttab\n```'],
])('code block of %j', (text, markdown) => {
  expect(codeBlock(text)).toBe(markdown);
});

test('a link cannot be left', () => {
  expect(link('https://a.example/x> [y](javascript:z)')).toBe('<https://a.example/x%3E%20[y](javascript:z)>');
});
