// Durations as people write them: a whole number and its unit.

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `30m`, `24h`, `7d` in milliseconds; undefined for everything else. */
export function parseDurationMs(text: string): number | undefined {
  const [, amount, unit] = /^([1-9]\d*)([smhd])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
}
