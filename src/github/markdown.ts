// Text of strangers (branch names, messages of containers, object names) inside a comment that we sign. Code spans and
// fences are used because in them GitHub makes no mentions, references, links or HTML of anything.

/** One line of code, whatever it holds. */
export function codeSpan(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line === '') return '` `';
  const ticks = '`'.repeat(longestRun(line) + 1);
  const space = line.startsWith('`') || line.endsWith('`') ? ' ' : '';
  return `${ticks}${space}${line}${space}${ticks}`;
}

/** A block of lines, as they are but for control characters. */
export function codeBlock(text: string): string {
  const shown = text.replace(/\r\n?/g, '\n').replace(CONTROL, '').trimEnd();
  const fence = '`'.repeat(Math.max(3, longestRun(shown) + 1));
  return `${fence}text\n${shown}\n${fence}`;
}

/** An autolink. @throws TypeError when it is no absolute URL. */
export function link(address: string): string {
  return `<${new URL(address).href}>`;
}

const CONTROL = /[^\P{Cc}\n\t]/gu;

function longestRun(text: string): number {
  return Math.max(0, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length));
}
