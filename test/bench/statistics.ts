// Medians and spreads of repeated measurements, and the form in which benchmarks hand them on.

/** Units stand in the keys: `usable_p50_ms`. */
export type Figures = Record<string, number>;

/** The value below which the fraction `quantile` of the samples lies, by the nearest rank. */
function quantileOf(samples: readonly number[], quantile: number): number {
  if (samples.length === 0) throw new RangeError('no samples');
  const sorted = samples.toSorted((a, b) => a - b);
  const rank = Math.max(1, Math.ceil(quantile * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}

interface Summary {
  min: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

export function summaryOf(samples: readonly number[]): Summary {
  return {
    min: quantileOf(samples, 0),
    p50: quantileOf(samples, 0.5),
    p95: quantileOf(samples, 0.95),
    p99: quantileOf(samples, 0.99),
    max: quantileOf(samples, 1),
  };
}
