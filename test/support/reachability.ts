// Pods that answer on TCP and UDP ports, and others that try to reach them: who reaches whom, shown by packets.
import type { Pod, PodSpec } from '../../src/syncer/objects.ts';

/** Debian with bash and perl, which speak TCP and UDP. */
const IMAGE = 'docker.io/library/redis:7';
/** How long an attempt waits for an answer: packets take less than a millisecond, starting bash on a busy machine takes longer. */
const ATTEMPT_SECONDS = 1;

/** Answers each datagram and greets each connection with the pod's name, then returns what it is sent. */
const ANSWERER = `
use IO::Select; use IO::Socket::INET;
$| = 1; $SIG{PIPE} = 'IGNORE'; $SIG{TERM} = sub { exit };
my ($all, %listens) = IO::Select->new;
for (@ARGV) {
  my ($protocol, $port) = split /:/;
  my $socket = IO::Socket::INET->new(Proto => $protocol, LocalPort => $port, $protocol eq 'tcp' ? (Listen => 64, ReuseAddr => 1) : ()) or die;
  $all->add($socket); $listens{$socket} = $protocol;
}
for (;;) { for my $socket ($all->can_read) {
  my $protocol = $listens{$socket} // '';
  if ($protocol eq 'tcp') { if (my $new = $socket->accept) { syswrite $new, "$ENV{HOSTNAME}\\n"; $all->add($new) } }
  elsif ($protocol eq 'udp') { if (defined(my $peer = $socket->recv(my $text, 512))) { $socket->send("$ENV{HOSTNAME}\\n", 0, $peer) } }
  elsif (sysread $socket, my $text, 4096) { syswrite $socket, $text }
  else { $all->remove($socket); close $socket }
} }`;

/** A question that every cluster's DNS answers, in the words of printf. */
const DATAGRAM = [
  String.raw`AB\001\000\000\001\000\000\000\000\000\000`,
  String.raw`\012kubernetes\007default\003svc\007cluster\005local\000\000\001\000\001`,
].join('');

/** Prints each of its arguments, `tcp/10.0.0.1/80`, that takes a connection or answers a datagram. */
const ATTEMPTS = `attempt() { exec 3<>/dev/"$1" && case $1 in udp/*) printf '${DATAGRAM}' >&3 && read -r -N 1 -u 3 _;; esac && echo "$1"; }
export -f attempt
for target in "$@"; do timeout ${ATTEMPT_SECONDS} bash -c 'attempt "$0"' "$target" 2>/dev/null & done; wait`;

/** Sends the lines of its input over one connection, and prints the lines that come back. */
export const CONVERSATION = `exec 3<>/dev/"$0"; read -r -u 3 line; echo "$line"
while read -r line; do echo "$line" >&3; read -r -t 3 -u 3 line || exit 1; echo "$line"; done`;

interface PodOptions {
  name: string;
  namespace?: string;
  labels?: Readonly<Record<string, string>>;
  spec?: Partial<PodSpec>;
}

function pod(
  { name, namespace, labels, spec }: PodOptions,
  container: Partial<PodSpec['containers'][0]>,
): Pod {
  return {
    metadata: { name, ...(namespace && { namespace }), labels: { ...labels } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: IMAGE, imagePullPolicy: 'IfNotPresent', ...container }],
      ...spec,
    },
  };
}

/** @param ports `tcp:80` for example; those with a name in `portNames` are declared under it. */
export function answeringPod(
  options: PodOptions,
  ports: readonly string[],
  portNames: Readonly<Record<string, string>> = {},
): Pod {
  return pod(options, {
    command: ['perl', '-e', ANSWERER, ...ports],
    ports: ports.map((text) => {
      const [protocol = '', port] = text.split(':');
      const name = portNames[text];
      return { protocol: protocol.toUpperCase(), containerPort: Number(port), ...(name && { name }) };
    }),
  });
}

export function attemptingPod(options: PodOptions): Pod {
  return pod(options, { command: ['sleep', '1000000'] });
}

/** A pod whose first act is to try to reach something; it succeeds when that works at once. */
export function hastyPod(options: PodOptions, target: string): Pod {
  const attempt = `timeout ${ATTEMPT_SECONDS} bash -c 'exec 3<>/dev/"$0"' "$0"`;
  return pod(
    { ...options, spec: { restartPolicy: 'Never', ...options.spec } },
    { command: ['bash', '-c', attempt, target] },
  );
}

/** The arguments of `kubectl` that print which of the targets the pod reaches. */
export function attempts(podName: string, targets: readonly string[]): string[] {
  return ['exec', podName, '--', 'bash', '-c', ATTEMPTS, 'attempts', ...targets];
}
