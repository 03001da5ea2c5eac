// Two columns of text for a terminal.

const GAP = '  │  ';

/** Lines of `left` and `right` next to each other, under their titles. */
export function sideBySide(
  left: { title: string; text: string },
  right: { title: string; text: string },
): string {
  const columns = [left, right].map(({ title, text }) => [title, ...text.trimEnd().split('\n')]);
  const [first = [], second = []] = columns;
  const width = Math.max(...first.map((line) => line.length));
  const rows = Array.from({ length: Math.max(first.length, second.length) }, (_, row) =>
    `${(first[row] ?? '').padEnd(width)}${GAP}${second[row] ?? ''}`.trimEnd(),
  );
  return rows.join('\n');
}
