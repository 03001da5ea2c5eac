#!/usr/bin/env bash
# Runs one of our scripts with the Node of package-lock.json, on a machine that may have an older one or a fresh clone.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -x node_modules/.bin/node ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  # Not `npm ci`: it refuses a lock file without the optional packages of other platforms, which not every registry serves.
  npm install --no-save --no-audit --no-fund
  touch node_modules/.package-lock.json
fi
export PATH="$PWD/node_modules/.bin:$PATH"
exec node "$@"
