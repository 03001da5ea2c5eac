// `owner/name`, as events and people write it, in the shape that Octokit's methods take.
import { InvalidInputError } from '../lib/errors.ts';

export function splitRepository(repository: string): { owner: string; repo: string } {
  const [owner, repo, ...rest] = repository.split('/');
  if (!owner || !repo || rest.length > 0) {
    throw new InvalidInputError({
      code: 'InvalidRepository',
      message: `"${repository}" is not of the form owner/name`,
    });
  }
  return { owner, repo };
}
