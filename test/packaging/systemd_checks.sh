#!/bin/bash
# Runs beside the systemd that systemd_boot.sh started. Prints `ok NAME` or `failed NAME`.
set -u
VIPD_FILE=$1
MANIFESTS=/etc/vipd-manifests

wait_for() { # NAME SECONDS COMMAND...
  name=$1 limit=$2
  shift 2
  for _ in $(seq $((limit * 5))); do
    if "$@" >/dev/null 2>&1; then echo "ok $name"; return 0; fi
    sleep 0.2
  done
  echo "failed $name"
  return 1
}
is() { [ "$(systemctl show "$1" --property="$2" --value)" = "$3" ]; }
main_pid() { systemctl show vipd.service --property=MainPID --value; }
state() { systemctl status vipd.service --no-pager -n 5; head -c 3000 /run/vipd.log; exit 1; }

cd /etc/systemd/system || exit 1
wait_for "systemd is up" 60 systemctl is-active basic.target || exit 1

# The unit has a /tmp and a /home of its own, and this checkout may be in either.
cp -a "$2" $MANIFESTS
cat >kube-proxy.service <<EOF
[Service]
ExecStart=/run/kube-proxy --manifests=$MANIFESTS --hostname-override=node-a --conntrack-max-per-core=0 -v=2
[Install]
WantedBy=multi-user.target
EOF
printf '#!/bin/sh\nexec sleep infinity\n' >/run/kube-proxy && chmod +x /run/kube-proxy
systemctl enable --now kube-proxy.service >/dev/null 2>&1
is kube-proxy.service ActiveState active && echo "ok kube-proxy runs"

mkdir -p vipd.service.d
printf '[Service]\nStandardError=append:/run/vipd.log\nWatchdogSec=10s\n' >vipd.service.d/log.conf
"$VIPD_FILE" install || state
is vipd.service ActiveState active && echo "ok ready after the first sync"
is kube-proxy.service ActiveState inactive && echo "ok kube-proxy was stopped"
grep -q "Ready: every family" /run/vipd.log && echo "ok READY follows the sync"
iptables-legacy-save -t nat >/run/rules1
grep -q KUBE-SVC /run/rules1 && echo "ok rules are written"
/usr/local/sbin/vipd install --check >/dev/null && echo "ok check agrees"

before=$(main_pid)
systemctl kill --signal=KILL vipd.service
wait_for "killed, it starts again" 60 sh -c "[ \$(systemctl show vipd.service --property=NRestarts --value) = 1 ]"
wait_for "ready again" 60 is vipd.service ActiveState active
[ "$(main_pid)" != "$before" ] && echo "ok another process"

# A stopped process says nothing to the watchdog.
systemctl kill --signal=STOP vipd.service
wait_for "the watchdog starts it again" 90 sh -c "[ \$(systemctl show vipd.service --property=NRestarts --value) = 2 ]"
wait_for "ready a third time" 60 is vipd.service ActiveState active

iptables-legacy-save -t nat >/run/rules2
cmp -s <(grep ^-A /run/rules1) <(grep ^-A /run/rules2) && echo "ok rules stayed the same"
/usr/local/sbin/vipd uninstall || state
is vipd.service LoadState not-found && echo "ok the unit is gone"
[ ! -e /usr/local/sbin/vipd ] && echo "ok the program is gone"
is kube-proxy.service ActiveState active && echo "ok kube-proxy is back"
iptables-legacy-save -t nat | grep -q KUBE-SVC && echo "ok rules stay"
echo "ok end"
