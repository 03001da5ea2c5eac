// The last CNI plugin of every pod: announces its address to the enforcers of all nodes before anything runs in it, and holds
// the pod back until its own node has rules for it. The API would say the address a second after the pod has started.

/** Name of the program among the node's CNI plugins, and its `type` in their configuration. */
export const CNI_PLUGIN = 'network-policy';

const POLL_SECONDS = 0.02;
const POLLS = 500;

/**
 * The program. An announcement is a file `<node>.<sandbox>` in `folder`, which all nodes see: CNI_ARGS in its first line, the
 * plugin's configuration with the result so far in its second. The answer is `<announcement>.ready` with the result to print.
 */
export function cniPlugin(folder: string, node: string): string {
  return `#!/bin/sh
set -u
announcement='${folder}/${node}'."$CNI_CONTAINERID"
case $CNI_COMMAND in
ADD)
  printf '%s\\n%s\\n' "$CNI_ARGS" "$(tr -d '\\n')" >"$announcement.new"
  mv "$announcement.new" "$announcement"
  polls=0
  while [ ! -e "$announcement.ready" ]; do
    polls=$((polls + 1))
    if [ $polls -gt ${POLLS} ]; then
      echo '{"cniVersion":"1.0.0","code":11,"msg":"the enforcer of NetworkPolicy does not answer"}'
      exit 1
    fi
    sleep ${POLL_SECONDS}
  done
  cat "$announcement.ready"
  ;;
DEL) rm -f "$announcement" "$announcement.ready" ;;
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' ;;
esac
`;
}
