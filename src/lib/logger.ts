// Structured logs on standard output. Redaction is by structure: the listed fields never reach a line.
import { type Logger as PinoLogger, pino } from 'pino';

export type Logger = PinoLogger;

const SECRET_FIELDS = ['authorization', 'cookie', 'token', 'password', 'secret', 'privateKey', 'kubeconfig'];

export interface LoggerOptions {
  /** The process: `server`, `worker`, `syncer`. */
  name: string;
  level: string;
}

export function createLogger({ name, level }: LoggerOptions): Logger {
  return pino({
    name,
    level,
    base: { name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`, `*.headers.${field}`]),
      censor: '[redacted]',
    },
  });
}
