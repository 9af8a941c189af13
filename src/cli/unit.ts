/**
 * What `vipd install` writes: the systemd unit, the defaults of this node, a first configuration.
 * packaging/vipd.service is this unit for the Debian package; a test holds them together.
 *
 * @module
 */

/** The unit for an executable at `program`. See systemd.service(5), systemd.exec(5). */
export function unitText(program: string): string {
  return `# vipd under systemd. What it is started with is in /etc/default/vipd.
[Unit]
Description=vipd, Service networking of this Kubernetes node
Documentation=man:vipd(8)
# Whoever programs the same rules stops first: its ports are free when vipd starts, its rules stay.
Conflicts=kube-proxy.service
After=network-online.target kube-proxy.service
Wants=network-online.target
# vipd itself may not load modules. The kernel loads nearly all of them when they are asked for, but
# not those of legacy iptables; and the settings of connection tracking exist only with the module.
Wants=modprobe@nf_conntrack.service modprobe@ip_tables.service modprobe@ip6_tables.service
After=modprobe@nf_conntrack.service modprobe@ip_tables.service modprobe@ip6_tables.service
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
Environment=VIPD_ARGS=--config=/etc/vipd/config.conf
EnvironmentFile=-/etc/default/vipd
ExecStart=${program} $VIPD_ARGS
# Ready means: the first sync of every family is complete. The API server may come up later than
# this node, so waiting for it is no failure; a loop that no longer turns is.
TimeoutStartSec=infinity
WatchdogSec=60s
Restart=always
RestartSec=2s
LimitNOFILE=65536
OOMScoreAdjust=-999

# Rules, sets and virtual servers of this node's network, raw sockets of legacy iptables, and the
# score that keeps the memory killer away.
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_RESOURCE
AmbientCapabilities=
NoNewPrivileges=yes

# /run holds xtables.lock; /proc/sys/net is what a proxy is for.
ProtectSystem=strict
ReadWritePaths=/run
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectProc=invisible
# V8 compiles at run time: MemoryDenyWriteExecute cannot be had.
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077

[Install]
WantedBy=multi-user.target
`;
}

/** /etc/default/vipd. `args` are vipd's flags, each without white space. */
export function defaultsText(args: readonly string[]): string {
  return `# Flags of vipd on this node: those of kube-proxy. See vipd --help.
VIPD_ARGS="${args.join(" ")}"
`;
}

/** /etc/vipd/config.conf of a node that had no proxy. */
export const FIRST_CONFIG = `# The configuration file of kube-proxy, read by vipd.
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables # or nftables, ipvs
clientConnection:
  kubeconfig: /etc/vipd/kubeconfig.conf
# Where pods live: traffic from elsewhere to a cluster IP is masqueraded.
clusterCIDR: 10.244.0.0/16
`;
