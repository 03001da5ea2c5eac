// What goes wrong at GitHub, when a test says so.

export interface Fault {
  /** `GET`, ...; absent: any. */
  method?: string;
  /** Of the request's path; absent: any. */
  path?: RegExp;
  /** `dropped`: the connection ends without an answer. */
  status: number | 'dropped';
  headers?: Record<string, string>;
  message?: string;
  /** How many requests it hits. */
  times: number;
  /** The request is carried out all the same; only its answer is this one. */
  carriedOut?: boolean;
}

export interface Faults {
  add(fault: Fault): void;
  clear(): void;
  /** The fault that hits this request, used up by one. */
  take(request: { method: string; path: string }): Fault | undefined;
}

/** 403 with a secondary rate limit (docs.github.com, "Rate limits for the REST API"). */
export function secondaryRateLimit(retryAfterSeconds: number, times: number): Fault {
  return {
    status: 403,
    headers: { 'retry-after': String(retryAfterSeconds) },
    message: 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
    times,
  };
}

export function createFaults(): Faults {
  let faults: Fault[] = [];
  return {
    add: (fault) => faults.push({ ...fault }),
    clear() {
      faults = [];
    },
    take({ method, path }) {
      const fault = faults.find(
        (candidate) =>
          candidate.times > 0 &&
          (candidate.method === undefined || candidate.method === method) &&
          (candidate.path === undefined || candidate.path.test(path)),
      );
      if (fault) fault.times--;
      return fault;
    },
  };
}
