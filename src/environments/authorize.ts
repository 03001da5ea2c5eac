// Who may see and change an environment: the one place that decides it, for every route and gateway.
import { NotFoundError } from '../lib/errors.ts';
import type { Environment } from './resource.ts';

/** Who calls. */
export interface Principal {
  /** As in `spec.owner`: `token:<name>` or `github:<owner>/<repository>`. */
  id: string;
  /** May access every environment. */
  admin: boolean;
}

export function mayAccess(principal: Principal, { spec }: Pick<Environment, 'spec'>): boolean {
  return principal.admin || (principal.id !== '' && principal.id === spec.owner);
}

/** @throws NotFoundError as for an environment that does not exist, so that nobody learns of others' ones. */
export function authorize(principal: Principal, environment: Environment): void {
  if (!mayAccess(principal, environment)) throw environmentNotFound(environment.metadata.name ?? '');
}

export function environmentNotFound(name: string): NotFoundError {
  return new NotFoundError({ code: 'EnvironmentNotFound', message: `There is no environment ${name}` });
}
