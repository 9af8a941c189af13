#!/bin/sh
# First process of the user-mode-linux that boot.ts starts: makes the host's file tree usable by a
# second kernel, runs $JOB/script.sh, leaves its status in $JOB/code, and switches off.
#
# The tree is the real one (hostfs): everything that a kernel or a daemon writes to gets a fresh
# file system here. JOB and HOST_DENO_DIR come from the kernel command line.

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm 2>/dev/null
mkdir -p /run/netns /run/tmp /run/deno /run/lock

# The host may have no modules or those of its own kernel: ours take their place.
mount -t tmpfs tmpfs /lib/modules || echo "boot: /lib/modules is not there"
for version in /usr/lib/uml/modules/*; do ln -s "$version" /lib/modules/; done

# Packages and compiled modules are shared with the host; its SQLite files must not be: locks of
# one kernel mean nothing to the other.
for part in npm gen remote; do
  [ -e "$HOST_DENO_DIR/$part" ] && ln -s "$HOST_DENO_DIR/$part" /run/deno/
done

. "$JOB/env.sh"
export DENO_DIR=/run/deno TMPDIR=/run/tmp DENO_NO_UPDATE_CHECK=1
ip link set lo up
hostname uml 2>/dev/null

cd "$JOB_CWD" && bash "$JOB/script.sh" </dev/null 2>&1
echo $? >"$JOB/code"
sync
echo o >/proc/sysrq-trigger
sleep 10 # the kernel ends meanwhile
