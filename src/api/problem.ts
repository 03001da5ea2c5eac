// How every refusal looks: application/problem+json (RFC 9457), with a code for machines.
import * as z from 'zod';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

export const problem = z
  .object({
    type: z.literal('about:blank'),
    title: z.string().meta({ description: 'The name of the HTTP status' }),
    status: z.int(),
    code: z.string().meta({ description: 'Stable, in PascalCase', examples: ['EnvironmentNotFound'] }),
    detail: z.string().meta({ description: 'For people' }),
    requestId: z.string().meta({ description: 'As in the header X-Request-Id' }),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'What is wrong with each field' }),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof problem>;
