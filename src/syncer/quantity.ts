// Quantities of Kubernetes (`250m`, `12345n`, `64Mi`) as numbers, for adding usage up. What is copied stays text.

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** 0 for what is no quantity: usage is told by the host, and nothing is decided by it here. */
export function quantityOf(text: string | undefined): number {
  const [, digits = '', suffix = ''] = /^([0-9.]+(?:e[0-9]+)?)([A-Za-z]*)$/i.exec(text ?? '') ?? [];
  const value = Number(digits) * (FACTORS[suffix] ?? Number.NaN);
  return Number.isFinite(value) ? value : 0;
}

/** As the metrics API writes it: whole nanocores. */
export const cpuQuantity = (cores: number): string => `${Math.round(cores * 1e9)}n`;
/** As the metrics API writes it: whole kibibytes. */
export const memoryQuantity = (bytes: number): string => `${Math.round(bytes / 1024)}Ki`;
