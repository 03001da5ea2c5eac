#!/bin/bash
# Builds one image: STORAGE REFERENCE CONTEXT ARCHIVE [NAME=LAYOUT...] -- [BUILD OPTION...]
# Each OCI layout is known as NAME to the Dockerfile; the result is written to ARCHIVE.
set -eu
storage=$1 reference=$2 context=$3 archive=$4
shift 4
buildah() { command buildah --root "$storage" --runroot /run/mayfly-buildah "$@"; }
mount -t tmpfs tmpfs /run

while [ "$1" != -- ]; do
  name=${1%%=*} layout=${1#*=}
  if ! buildah inspect --type image "$name" >/dev/null 2>&1; then
    # buildah names what it pulls after the path, which not every path allows.
    mkdir -p /run/layout
    mount --bind "$layout" /run/layout
    buildah tag "$(buildah pull --quiet oci:/run/layout)" "$name"
    buildah rmi localhost/run/layout >/dev/null
    umount /run/layout
  fi
  shift
done
shift
buildah bud --quiet --layers --pull-never --format docker --tag "$reference" "$@" "$context"
buildah push --quiet "$reference" "docker-archive:$archive:$reference"
buildah rmi --prune >/dev/null
