#!/bin/bash
# The first process of a node, alone in new PID, mount, UTS and IPC namespaces: gives the node its own folders,
# runs each unit and starts it again when it ends. When this process ends, the kernel ends the whole node.
set -eu
dir=$1
name=$2
units=$3

hostname "$name"
mount --bind "$dir/var/lib" /var/lib
mount --bind "$dir/var/log" /var/log
mount --bind "$dir/opt" /opt
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /opt/cni/bin
ln -sf /usr/lib/cni/* /opt/cni/bin/
# kubelet sets these for the whole machine: here it writes to files of its own.
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
  kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  if [ ! -e "/proc/sys/$setting" ]; then continue; fi
  file=/run/sysctl-${setting//\//-}
  cat "/proc/sys/$setting" >"$file"
  mount --bind "$file" "/proc/sys/$setting"
done
# As on any node, so that mounts of kubelet reach containers that ask for them.
mount --make-rshared /

# The program of a unit has the id in its .pid file; while there is a .stopped file it is not started (faults.ts).
keep_running() {
  while :; do
    while [ -e "$1.stopped" ]; do sleep 0.1; done
    "$2" &
    echo $! >"$1.pid"
    wait $! || true
    rm -f "$1.pid"
    echo "unit ended, starting it again"
    sleep 1
  done
}

mkdir /run/units
for unit in "$units"/*; do
  keep_running "/run/units/$(basename "$unit")" "$unit" >>"$dir/var/log/$(basename "$unit").log" 2>&1 </dev/null &
done

# Waiting also reaps what orphaned processes leave behind.
while :; do
  wait || sleep 1
done
