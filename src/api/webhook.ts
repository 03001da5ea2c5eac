// What a webhook delivery is answered with.
import * as z from 'zod';

export const deliveryReceipt = z
  .object({
    deliveryId: z.string(),
    result: z
      .enum(['queued', 'duplicate', 'ignored'])
      .meta({ description: '`ignored`: nothing that we act on; `duplicate`: taken before' }),
  })
  .meta({ id: 'DeliveryReceipt' });
