// An environment as the API shows it, and what may be asked for. The contract with every client of ours and of others.
import * as z from 'zod';

/** A DNS label that begins with a letter. */
export const environmentName = z
  .string()
  .max(40)
  .regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/)
  .meta({ description: 'A DNS label that begins with a letter', examples: ['shop-412'] });

/** RFC 3339, in UTC. */
const timestamp = z.iso.datetime().meta({ description: 'RFC 3339, in UTC' });

const minorVersion = z
  .string()
  .regex(/^1\.[0-9]{2}$/)
  .meta({ description: 'Minor version of Kubernetes', examples: ['1.34'] });

const imageApp = z
  .strictObject({
    image: z
      .string()
      .min(1)
      .max(512)
      .regex(/^[\w][\w.:/@-]*$/),
    port: z.int().min(1).max(65535),
  })
  .meta({ description: 'One image, run as a Deployment behind a Service' });

export const createEnvironmentRequest = z.strictObject({
  name: environmentName.optional().meta({ description: 'Generated when absent' }),
  app: imageApp.optional().meta({ description: 'Absent: an empty cluster' }),
  kubernetesVersion: minorVersion.optional(),
  ttlSeconds: z.int().min(60).optional().meta({ description: 'Time to live; the service limits it' }),
});

const environmentPhase = z.enum(['Pending', 'Provisioning', 'Deploying', 'Ready', 'Failed', 'Terminating']);

const environmentCondition = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: timestamp,
});

export const environment = z
  .object({
    name: environmentName,
    owner: z.string().meta({ description: '`token:<name>` or `github:<owner>/<repository>`' }),
    pullRequest: z
      .object({ repository: z.string(), number: z.int().positive(), commit: z.string() })
      .optional(),
    app: z.object({ image: z.string(), port: z.int() }).optional(),
    kubernetesVersion: minorVersion,
    createdAt: timestamp,
    expiresAt: timestamp,
    phase: environmentPhase,
    reason: z.string().optional().meta({ description: 'Why the phase is what it is; stable, in PascalCase' }),
    message: z.string().optional().meta({ description: 'The same for people, in Markdown' }),
    commit: z.string().optional().meta({ description: 'What is served now' }),
    previews: z.array(z.object({ name: z.string(), url: z.string() })),
    conditions: z.array(environmentCondition),
    steps: z.array(
      z.object({ name: z.string(), startedAt: timestamp, durationMs: z.number().nonnegative().optional() }),
    ),
  })
  .meta({ id: 'Environment' });
export type EnvironmentView = z.infer<typeof environment>;

export const environmentList = z.object({ items: z.array(environment) }).meta({ id: 'EnvironmentList' });
