// What a run of upstream's suite says about each conformance test, from Ginkgo's JSON report. Pure.
import { z } from 'zod';

export type Outcome = 'passed' | 'failed' | 'skipped';

export interface TestResult {
  outcome: Outcome;
  durationSeconds: number;
  /** Of a failure: what the test said, shortened; of a skipped test: why. */
  message?: string;
}

/** By full name, as upstream's list of conformance tests has it. */
export type Results = Readonly<Record<string, TestResult>>;

export interface Report {
  /** Names of all conformance tests, run or not. */
  tests: readonly string[];
  /** Of those that this run chose. */
  results: Results;
}

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const LABEL = 'Conformance';
const MESSAGE_LENGTH = 2_000;

const specSchema = z.object({
  ContainerHierarchyTexts: z.array(z.string()).nullish(),
  ContainerHierarchyLabels: z.array(z.array(z.string()).nullable()).nullish(),
  LeafNodeText: z.string(),
  LeafNodeType: z.string(),
  LeafNodeLabels: z.array(z.string()).nullish(),
  State: z.string(),
  /** 0 for a test that the focus left out. */
  NumAttempts: z.number(),
  /** Nanoseconds. */
  RunTime: z.number(),
  Failure: z.object({ Message: z.string() }).nullish(),
});
const reportSchema = z.array(z.object({ SpecReports: z.array(specSchema).nullable() }));

type Spec = z.infer<typeof specSchema>;

/** @throws ZodError when it is not Ginkgo's report. */
export function parseReport(json: unknown): Report {
  const specs = reportSchema
    .parse(json)
    .flatMap(({ SpecReports }) => SpecReports ?? [])
    .filter(isConformanceTest);
  const run = specs.filter(({ NumAttempts }) => NumAttempts > 0);
  return {
    tests: specs.map(nameOf).sort(),
    results: Object.fromEntries(run.map((spec) => [nameOf(spec), resultOf(spec)])),
  };
}

export function count(results: Iterable<TestResult>): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { outcome } of results) counts[outcome] += 1;
  return counts;
}

/** The group of Kubernetes that a test belongs to: `sig-node`. */
export function areaOf(test: string): string {
  return /^\[(sig-[a-z-]+)\]/.exec(test)?.[1] ?? 'other';
}

function isConformanceTest({ LeafNodeType, LeafNodeLabels, ContainerHierarchyLabels }: Spec): boolean {
  const labels = [LeafNodeLabels ?? [], ...(ContainerHierarchyLabels ?? [])].flatMap((list) => list ?? []);
  return LeafNodeType === 'It' && labels.includes(LABEL);
}

function nameOf({ ContainerHierarchyTexts, LeafNodeText }: Spec): string {
  return [...(ContainerHierarchyTexts ?? []), LeafNodeText].join(' ');
}

function resultOf({ State, RunTime, Failure }: Spec): TestResult {
  const message = Failure?.Message.slice(0, MESSAGE_LENGTH);
  return {
    outcome: State === 'passed' || State === 'skipped' ? State : 'failed',
    durationSeconds: Math.round(RunTime / 1e8) / 10,
    ...(message ? { message } : {}),
  };
}
