// Label selectors as they come in a query string (`app=web,tier in (a,b),!old`), for the one API that the syncer serves itself.
import { InvalidInputError } from '../../lib/errors.ts';
import type { LabelSelector } from '../objects.ts';

type Requirement = NonNullable<LabelSelector['matchExpressions']>[number];

const SET = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/;
const EQUALITY = /^([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)$/;
const PRESENCE = /^(!?)\s*([^=!\s()]+)$/;

/** @throws InvalidInputError */
export function parseLabelSelector(text: string): LabelSelector {
  // A comma inside parentheses parts values and not requirements.
  const parts = text.split(/,(?![^()]*\))/).map((part) => part.trim());
  return { matchExpressions: text.trim() === '' ? [] : parts.map(parseRequirement) };
}

function parseRequirement(text: string): Requirement {
  const [, setKey, setOperator, values = ''] = SET.exec(text) ?? [];
  if (setKey) {
    const operator = setOperator === 'in' ? 'In' : 'NotIn';
    return { key: setKey, operator, values: values.split(',').map((value) => value.trim()) };
  }
  const [, key, sign, value = ''] = EQUALITY.exec(text) ?? [];
  if (key) return { key, operator: sign === '!=' ? 'NotIn' : 'In', values: [value] };
  const [, not, present] = PRESENCE.exec(text) ?? [];
  if (present) return { key: present, operator: not ? 'DoesNotExist' : 'Exists' };
  throw new InvalidInputError({ code: 'BadRequest', message: `cannot read the label selector "${text}"` });
}
