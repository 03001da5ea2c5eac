// Placeholders are replaced by name, and by nothing else.
import { expect, test } from 'vitest';
import { interpolate, interpolateValue } from './project-file-variables.ts';

const variables = {
  commit: 'c0ffee',
  host: 'shop-7.preview.example.com',
  number: '7',
  environment: 'shop-7',
};

test.each([
  ['nothing to replace: $HOME ${x} {{ .Values.y }}', 'nothing to replace: $HOME ${x} {{ .Values.y }}'],
  ['web:${{ commit }}', 'web:c0ffee'],
  ['${{commit}}-${{  number }} on ${{ host }}', 'c0ffee-7 on shop-7.preview.example.com'],
  ['${{ environment }}', 'shop-7'],
])('%s', (text, expected) => {
  expect(interpolate(text, variables)).toBe(expected);
});

test('strings are replaced at any depth, other values and keys are kept', () => {
  expect(interpolateValue({ '${{ commit }}': ['${{ number }}', 1, null, { a: true }] }, variables)).toEqual({
    '${{ commit }}': ['7', 1, null, { a: true }],
  });
});

test.each(['${{ comit }}', '${{ constructor }}', '${{ commit.length }}', '${{ }}'])(
  'what is no variable is an error: %s',
  (text) => {
    expect(() => interpolate(text, variables)).toThrow(expect.objectContaining({ code: 'UnknownVariable' }));
  },
);
