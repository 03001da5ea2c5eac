// What a run is doing, for the person who waits: lines on standard error with the time since the start.
export interface Progress {
  step(message: string): void;
}

export function createProgress(write: (line: string) => void, nowMs: () => number): Progress {
  const startMs = nowMs();
  return {
    step(message) {
      write(`[${((nowMs() - startMs) / 1000).toFixed(1).padStart(6)} s] ${message}\n`);
    },
  };
}
