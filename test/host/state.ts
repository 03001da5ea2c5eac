// What is known of a test host that is up: written as the last act of starting it, removed as the first of ending it.
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { type Family, type Instance, planInstance } from './instance.ts';

export interface State {
  readonly nodeCount: number;
  readonly families: readonly Family[];
  /** Hash over everything that the instance was made of. */
  readonly version: string;
}

/** State of the instance; undefined when it is not up, or did not come up completely. */
export async function readState(name: string): Promise<State | undefined> {
  const text = await readFile(planInstance(name, 1).stateFile, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as State);
}

/** Complete or not at all, whenever the writer is killed. */
export async function writeState({ stateFile }: Instance, state: State): Promise<void> {
  const unfinished = `${stateFile}.unfinished`;
  await writeFile(unfinished, JSON.stringify(state));
  await rename(unfinished, stateFile);
}

export async function removeState(instance: Instance): Promise<void> {
  await rm(instance.stateFile, { force: true });
}

/** The plan of an instance that is up. */
export async function runningInstance(name: string): Promise<Instance> {
  const state = await readState(name);
  if (!state) throw new Error(`test host ${name} is not up`);
  return planInstance(name, state.nodeCount, { families: state.families });
}
