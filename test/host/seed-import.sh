#!/bin/bash
# Imports an OCI layout ($1) into a fresh containerd root ($2/root), inside namespaces of its own: whatever is
# left running when this script ends is ended by the kernel.
set -eu
layout=$1
folder=$2
mount -t tmpfs tmpfs /run
containerd --root "$folder/root" --state /run/containerd --address /run/containerd.sock \
  --config /dev/null --log-level warn >"$folder/containerd.log" 2>&1 &
containerd=$!
for _ in $(seq 100); do
  if [ -S /run/containerd.sock ]; then break; fi
  sleep 0.1
done
tar --create --directory "$layout" . |
  ctr --address /run/containerd.sock --namespace k8s.io images import --snapshotter overlayfs -
kill -TERM "$containerd"
wait "$containerd" || true
