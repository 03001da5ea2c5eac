// POST /v1/webhooks/github: the one handler that sees raw bytes. Verify, note the delivery, queue a hint, answer.
import express, { type RequestHandler } from 'express';
import { Counter } from 'prom-client';
import type * as z from 'zod';
import type { deliveryReceipt } from '../api/webhook.ts';
import type { DeliveryHint } from '../github/parse-delivery.ts';
import { parseDelivery } from '../github/parse-delivery.ts';
import { MAX_DELIVERY_BYTES, verifyDelivery } from '../github/verify-delivery.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { DeliveryLog } from '../queue/delivery-log.ts';
import { syncPullRequest } from '../queue/jobs.ts';
import type { JobProducer } from '../queue/producer.ts';

export const GITHUB_WEBHOOK_PATH = '/v1/webhooks/github';

type Receipt = z.infer<typeof deliveryReceipt>;

export interface GithubWebhookDeps {
  /** The newest first; the others are being rotated out. */
  secrets: readonly string[];
  deliveries: DeliveryLog;
  producer: Pick<JobProducer, 'enqueue'>;
  metrics: Metrics;
}

/** Handlers in order: who is not signed is refused before the body is read, and the body is verified before it is parsed. */
export function githubWebhook({
  secrets,
  deliveries,
  producer,
  metrics,
}: GithubWebhookDeps): RequestHandler[] {
  const results = new Counter({
    name: 'mayfly_webhook_deliveries_total',
    help: 'Webhook deliveries by result (queued, duplicate, ignored, refused)',
    labelNames: ['result'],
    registers: [metrics],
  });

  const signature = (request: express.Request) => request.get('x-hub-signature-256');

  const refuseUnsigned: RequestHandler = async (request, response, next) => {
    response.locals.route = GITHUB_WEBHOOK_PATH;
    if (!signature(request)) {
      results.inc({ result: 'refused' });
      await verifyDelivery({ body: new Uint8Array(), signature: undefined }, secrets);
    }
    next();
  };

  const receive: RequestHandler = async (request, response) => {
    const body: Uint8Array = Buffer.isBuffer(request.body) ? request.body : new Uint8Array();
    let hint: DeliveryHint;
    try {
      await verifyDelivery({ body, signature: signature(request) }, secrets);
      hint = parseDelivery({
        id: request.get('x-github-delivery') ?? '',
        event: request.get('x-github-event') ?? '',
        body,
      });
    } catch (error) {
      results.inc({ result: 'refused' });
      throw error;
    }
    const result = await take(hint);
    results.inc({ result });
    const receipt: Receipt = { deliveryId: hint.deliveryId, result };
    response.status(202).json(receipt);
  };

  /** A delivery that could not be queued is given back, so that GitHub's redelivery of it counts. */
  async function take(hint: DeliveryHint): Promise<Receipt['result']> {
    if (hint.type === 'ignored') return 'ignored';
    const { deliveryId, repository, repositoryId, installationId, number } = hint;
    if (!(await deliveries.claim(deliveryId))) return 'duplicate';
    try {
      const payload = { repository, repositoryId, installationId, number };
      await producer.enqueue(syncPullRequest, payload, { expedite: true });
    } catch (error) {
      await deliveries.release(deliveryId).catch(() => undefined);
      throw error;
    }
    await deliveries.confirm(deliveryId);
    return 'queued';
  }

  return [
    refuseUnsigned,
    express.raw({ type: () => true, limit: MAX_DELIVERY_BYTES, inflate: false }),
    receive,
  ];
}
