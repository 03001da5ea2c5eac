// Structured logs on standard output. Redaction is by structure: fields that hold credentials never reach a line.
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import { redacted } from './redaction.ts';

export type Logger = PinoLogger;

export interface LoggerOptions {
  /** The process: `server`, `worker`, `syncer`. */
  name: string;
  level: string;
}

export function createLogger(
  { name, level }: LoggerOptions,
  destination: DestinationStream = pino.destination(1),
): Logger {
  const logger = pino(
    {
      name,
      level,
      base: { name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactedFields },
      serializers: { err: (error) => redacted(pino.stdSerializers.err(error)) },
    },
    destination,
  );
  // Pino applies formatters to lines but not to the fields of child loggers; children inherit this method.
  logger.child = new Proxy(logger.child, {
    apply: (child, parent, [bindings, options]) =>
      Reflect.apply(child, parent, [redactedFields(bindings), options]),
  });
  return logger;
}

function redactedFields(fields: object): Record<string, unknown> {
  return redacted(fields) as Record<string, unknown>;
}
