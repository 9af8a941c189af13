#!/bin/bash
# Runs inside user-mode-linux (see systemd_test.ts): boots a real systemd as PID 1 of a namespace on
# copies of /etc and /usr/local/sbin, with few units, and runs a command beside it.
set -u
grep -q "User Mode Linux" /proc/cpuinfo || { echo "this belongs into user-mode-linux"; exit 1; }

mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /run/copy && cp -a /etc /run/copy/etc && mount --bind /run/copy/etc /etc
mkdir -p /run/copy/sbin && mount --bind /run/copy/sbin /usr/local/sbin
mount -t tmpfs tmpfs /var/log
# This kernel has no nf_tables.
for tool in iptables iptables-save iptables-restore; do
  for family in "" 6; do
    name=${tool/ip/ip$family}
    ln -sf "/usr/sbin/${name/tables/tables-legacy}" "/etc/alternatives/$name"
  done
done

# Only what a service of this kind needs: sysinit and basic without hardware, mounts and logins.
cd /etc/systemd/system
for unit in systemd-udevd systemd-udev-trigger systemd-journal-flush systemd-tmpfiles-setup \
  systemd-tmpfiles-setup-dev systemd-sysctl systemd-modules-load systemd-random-seed \
  systemd-update-utmp systemd-sysusers systemd-binfmt systemd-firstboot systemd-machine-id-commit \
  systemd-remount-fs systemd-hwdb-update systemd-journal-catalog-update systemd-update-done \
  kmod-static-nodes dbus ssh cron apt-daily; do
  ln -sf /dev/null $unit.service
done
for unit in sys-fs-fuse-connections.mount sys-kernel-config.mount dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
  proc-sys-fs-binfmt_misc.automount systemd-udevd-control.socket systemd-udevd-kernel.socket \
  systemd-journald-audit.socket dbus.socket local-fs.target swap.target timers.target \
  cryptsetup.target integritysetup.target veritysetup.target; do
  ln -sf /dev/null $unit
done
rm -rf multi-user.target.wants timers.target.wants sockets.target.wants sysinit.target.wants

unshare --pid --mount --fork sh -c 'mount -t proc proc /proc; exec env container=vipd \
  /lib/systemd/systemd --unit=basic.target --show-status=no --log-target=null' &
sleep 2
exec nsenter --pid --mount --target "$(pgrep -x systemd)" \
  "$@"
