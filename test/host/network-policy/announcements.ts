// The addresses of pods as the nodes' CNI plugins announce them, in a folder that all nodes of a host see.
import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Announcement {
  /** Name of the file, `<node>.<sandbox>`. */
  readonly id: string;
  readonly node: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** One of each family. */
  readonly addresses: readonly string[];
}

export interface Announcements {
  /** What is in the folder now. */
  read(): Promise<readonly Announcement[]>;
  /** Lets the CNI plugin go on that made an announcement; does nothing when it did already. */
  confirm(announcement: Announcement): Promise<void>;
  /** Calls back whenever the folder may have changed, until closed. */
  watch(onChange: () => void): FSWatcher;
}

interface Parsed {
  announcement: Announcement;
  /** What the plugin has to print, in JSON. */
  result: string;
}

const ANSWER = '.ready';
const UNFINISHED = '.new';

/** Of an existing folder. */
export function createAnnouncements(folder: string): Announcements {
  // A file never changes, so each is read once.
  let known = new Map<string, Parsed>();
  let answered = new Set<string>();
  return {
    async read() {
      const names = await readdir(folder);
      const before = known;
      known = new Map();
      answered = new Set(names.filter((name) => name.endsWith(ANSWER)));
      for (const id of names.sort()) {
        if (id.endsWith(ANSWER) || id.endsWith(UNFINISHED)) continue;
        const text = before.has(id)
          ? undefined
          : await readFile(join(folder, id), 'utf8').catch(() => undefined);
        const parsed = before.get(id) ?? (text === undefined ? undefined : parse(id, text));
        if (parsed) known.set(id, parsed);
      }
      return [...known.values()].map(({ announcement }) => announcement);
    },
    async confirm({ id }) {
      const answer = `${id}${ANSWER}`;
      const parsed = known.get(id);
      if (!parsed || answered.has(answer)) return;
      answered.add(answer);
      await writeFile(join(folder, `${answer}${UNFINISHED}`), parsed.result);
      await rename(join(folder, `${answer}${UNFINISHED}`), join(folder, answer));
    },
    watch: (onChange) => watch(folder, onChange),
  };
}

function parse(id: string, text: string): Parsed {
  const [args = '', configuration = ''] = text.split('\n');
  const values = new Map(args.split(';').map((pair) => pair.split('=', 2) as [string, string]));
  const { prevResult } = JSON.parse(configuration) as { prevResult: { ips: { address: string }[] } };
  return {
    announcement: {
      id,
      node: id.slice(0, id.lastIndexOf('.')),
      namespace: values.get('K8S_POD_NAMESPACE') ?? '',
      name: values.get('K8S_POD_NAME') ?? '',
      uid: values.get('K8S_POD_UID') ?? '',
      addresses: prevResult.ips.map(({ address }) => address.split('/')[0] ?? ''),
    },
    result: JSON.stringify(prevResult),
  };
}
