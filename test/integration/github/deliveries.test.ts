// Deliveries as GitHub sends them: who signed counts first, then what they say.
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDelivery } from '../../../src/github/parse-delivery.ts';
import { MAX_DELIVERY_BYTES, verifyDelivery } from '../../../src/github/verify-delivery.ts';
import { startGitHub, type TestGitHub } from '../../support/github/github.ts';
import type { PullRequest } from '../../support/github/state.ts';

let github: TestGitHub;
let pull: PullRequest;

beforeAll(async () => {
  github = await startGitHub();
  const repository = await github.createRepository('acme/shop', { a: 'a' });
  pull = await github.openPullRequest({ repository, files: { a: 'b' }, title: 'Grüße 👋' });
});
afterAll(() => github.stop());

const signed = (secret = github.webhookSecret) => {
  const { headers, body } = github.deliveries.sign(
    'pull_request',
    github.deliveries.pullRequest('opened', pull),
    { secret },
  );
  return { body, signature: headers['x-hub-signature-256'] };
};
const refused = (code: string) => expect.objectContaining({ name: 'UnauthenticatedError', code });

describe('a signature', () => {
  test('of the secret is taken, over the bytes as they came', async () => {
    await expect(verifyDelivery(signed(), [github.webhookSecret])).resolves.toBeUndefined();
  });

  test('of either secret is taken while one is being rotated', async () => {
    const secrets = ['new-secret', 'old-secret'];
    await expect(verifyDelivery(signed('new-secret'), secrets)).resolves.toBeUndefined();
    await expect(verifyDelivery(signed('old-secret'), secrets)).resolves.toBeUndefined();
    await expect(verifyDelivery(signed('older-secret'), secrets)).rejects.toThrow(
      refused('SignatureMismatch'),
    );
  });

  test.each([undefined, ''])('that is not there is refused: %j', async (signature) => {
    await expect(verifyDelivery({ ...signed(), signature }, ['s'])).rejects.toThrow(
      refused('SignatureMissing'),
    );
  });

  test('of another body, even of the same JSON, is refused', async () => {
    const { body, signature } = signed();
    const respaced = Buffer.from(JSON.stringify(JSON.parse(body.toString()), null, 1));
    await expect(verifyDelivery({ body: respaced, signature }, [github.webhookSecret])).rejects.toThrow(
      refused('SignatureMismatch'),
    );
  });

  test.each([
    ['sha1', (hex: string) => `sha1=${hex.slice(0, 40)}`],
    ['cut', (hex: string) => `sha256=${hex.slice(0, 63)}`],
    ['longer', (hex: string) => `sha256=${hex}00`],
    ['bare', (hex: string) => hex],
    ['in capitals', (hex: string) => `SHA256=${hex.toUpperCase()}`],
  ])('that is %s is refused', async (_title, change) => {
    const { body } = signed();
    const hex = createHmac('sha256', github.webhookSecret).update(body).digest('hex');
    await expect(verifyDelivery({ body, signature: change(hex) }, [github.webhookSecret])).rejects.toThrow(
      refused('SignatureMismatch'),
    );
  });

  test('is worth nothing without a secret, or with an empty one', async () => {
    await expect(verifyDelivery(signed(), [])).rejects.toThrow(refused('SignatureMismatch'));
    await expect(verifyDelivery(signed(), [''])).rejects.toThrow(refused('SignatureMismatch'));
  });

  test.each([
    ['not text', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
    ['empty', Buffer.alloc(0)],
    ['larger than GitHub sends', Buffer.alloc(MAX_DELIVERY_BYTES + 1, 0x20)],
  ])('of a body that is %s is refused although it is right', async (_title, body) => {
    const signature = `sha256=${createHmac('sha256', 's').update(body).digest('hex')}`;
    await expect(verifyDelivery({ body, signature }, ['s'])).rejects.toThrow(refused('SignatureMismatch'));
  });
});

describe('a delivery', () => {
  const parse = (payload: unknown, event = 'pull_request', id = 'd-1') =>
    parseDelivery({ id, event, body: Buffer.from(JSON.stringify(payload)) });

  test.each([
    'opened',
    'synchronize',
    'reopened',
    'closed',
    'labeled',
    'unlabeled',
    'ready_for_review',
    'converted_to_draft',
  ])('of pull_request.%s says where to look', (action) => {
    expect(parse(github.deliveries.pullRequest(action, pull))).toEqual({
      type: 'pull-request',
      deliveryId: 'd-1',
      action,
      repository: 'acme/shop',
      repositoryId: pull.repository.id,
      installationId: github.installation.id,
      number: pull.number,
    });
  });

  test.each(['assigned', 'locked', 'unassigned'])('of pull_request.%s is ignored', (action) => {
    expect(parse(github.deliveries.pullRequest(action, pull))).toMatchObject({ type: 'ignored' });
  });

  test.each(['ping', 'push', 'installation', 'repository', 'issue_comment'])('of %s is ignored', (event) => {
    expect(parse(github.deliveries.example(event), event)).toMatchObject({
      type: 'ignored',
      deliveryId: 'd-1',
    });
  });

  test('that is for no installation of the app is ignored', () => {
    const payload = { ...github.deliveries.pullRequest('opened', pull), installation: undefined };
    expect(parse(payload)).toMatchObject({ type: 'ignored' });
  });

  test.each([
    ['no repository', { repository: undefined }],
    ['a repository name that is a path', { repository: { id: 1, full_name: '../../etc/passwd' } }],
    ['a number that is none', { number: '1' }],
    ['a negative installation', { installation: { id: -1 } }],
  ])('with %s is refused', (_title, change) => {
    expect(() => parse({ ...github.deliveries.pullRequest('opened', pull), ...change })).toThrow(
      expect.objectContaining({ name: 'InvalidInputError', code: 'InvalidDelivery' }),
    );
  });

  test.each(['', 'a b', 'x'.repeat(80), 'a:b'])('with the identifier %j is refused', (id) => {
    expect(() => parse({}, 'ping', id)).toThrow(expect.objectContaining({ code: 'InvalidDelivery' }));
  });

  test('that is no JSON is refused', () => {
    expect(() => parseDelivery({ id: 'd', event: 'pull_request', body: Buffer.from('{') })).toThrow(
      expect.objectContaining({ code: 'InvalidDelivery' }),
    );
  });

  test('arrives with the headers, the bytes and the signature that GitHub sends, again under the same identifier', async () => {
    const ids: unknown[] = [];
    const server = createServer(async (request, response) => {
      const body = await buffer(request);
      const signature = String(request.headers['x-hub-signature-256']);
      await verifyDelivery({ body, signature }, [github.webhookSecret]);
      ids.push(request.headers['x-github-delivery']);
      response.writeHead(202).end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const to = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`;
    const { id, status } = await github.deliver('opened', pull, { to });
    await github.deliver('opened', pull, { to, id });
    server.close();
    expect(status).toBe(202);
    expect(ids).toEqual([id, id]);
  });
});
