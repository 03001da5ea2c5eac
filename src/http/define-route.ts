// What a route is. Its schemas validate what comes in and describe the API; its handler sees neither request nor response.
import type * as z from 'zod';
import type { Principal } from '../environments/authorize.ts';

type Schema = z.ZodType | undefined;
type Parsed<S extends Schema> = S extends z.ZodType ? z.infer<S> : undefined;

export interface RequestSchemas {
  params?: z.ZodType;
  query?: z.ZodType;
  /** JSON. */
  body?: z.ZodType;
}

export interface ResponseSpec {
  description: string;
  /** Absent: no body. */
  schema?: z.ZodType;
  /** Default `application/json`; bodies of other types are strings. */
  mediaType?: string;
}

export interface ServerSentEvent {
  event: string;
  id: string;
  /** Sent as JSON. */
  data: unknown;
}

export type RouteResponse = { status: number; headers?: Record<string, string> } & (
  | { body?: unknown }
  /** Sent as server-sent events until it ends; it is told to end through the handler's signal. */
  | { events: AsyncIterable<ServerSentEvent> }
);

export interface RouteInput<Request extends RequestSchemas, Auth extends RouteAuth> {
  params: Parsed<Request['params']>;
  query: Parsed<Request['query']>;
  body: Parsed<Request['body']>;
  principal: Auth extends 'token' ? Principal : undefined;
  /** Header of the request, in lower case, as it came. */
  header(name: string): string | undefined;
  /** Aborted when the client goes away and when the process must end. */
  signal: AbortSignal;
}

export type RouteAuth = 'token' | 'none';

export interface RouteDefinition<Request extends RequestSchemas, Auth extends RouteAuth> {
  method: 'get' | 'post' | 'delete';
  /** In Express's form: `/v1/environments/:name`. */
  path: string;
  summary: string;
  auth: Auth;
  request: Request;
  responses: Record<number, ResponseSpec>;
  /** Statuses of problem+json that the route itself answers with, beyond those that all have. */
  problems: readonly number[];
  handle(input: RouteInput<Request, Auth>): Promise<RouteResponse>;
}

/** A route whose types are checked already. */
export type Route = RouteDefinition<RequestSchemas, RouteAuth>;

export function defineRoute<const Request extends RequestSchemas, const Auth extends RouteAuth>(
  definition: RouteDefinition<Request, Auth>,
): Route {
  // The input of `handle` is what the schemas of this same definition yield, which the erased type cannot say.
  return definition as unknown as Route;
}
