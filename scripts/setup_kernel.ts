/**
 * What the kernel must be able to do, tried in a network namespace that is thrown away.
 *
 * @module
 */

/** One try. */
export interface KernelCheck {
  readonly what: string;
  readonly why: string;
  /** For sh. */
  readonly command: string;
  readonly profiles: readonly ("demo" | "ipvs" | "test")[];
}

/** Rules with every match and target that the iptables mode uses in its nat table. */
const NAT_RULES = [
  "*nat",
  ":VIPD-TRY - [0:0]",
  "-A VIPD-TRY -m comment --comment try -m statistic --mode random --probability 0.5 -j RETURN",
  "-A VIPD-TRY -m recent --name VIPD-TRY --rcheck --seconds 10 --reap -j RETURN",
  "-A VIPD-TRY -m addrtype --dst-type LOCAL -j RETURN",
  "-A VIPD-TRY -m mark ! --mark 0x4000/0x4000 -j RETURN",
  "-A VIPD-TRY -j MARK --set-xmark 0x4000/0x0",
  "-A VIPD-TRY -j MASQUERADE --random-fully",
  "-A VIPD-TRY -p tcp -m recent --name VIPD-TRY --set -m tcp -j DNAT --to-destination ADDRESS:80",
  "COMMIT",
  "*filter",
  "-A INPUT -m conntrack --ctstate NEW,INVALID -j ACCEPT",
  "-A INPUT -p tcp -j REJECT",
  "COMMIT",
].join("\\n");

function restore(tool: string, address: string): string {
  return `printf '${NAT_RULES.replace("ADDRESS", address)}\\n' | ${tool} -w`;
}

const HOST_NETFILTER = ["demo", "test"] as const;

/** All tries, the fundamental ones first. */
export const KERNEL_CHECKS: readonly KernelCheck[] = [
  {
    what: "virtual Ethernet pairs",
    why: "connect nodes and pods",
    command: "ip link add vipd0 type veth peer name vipd1",
    profiles: ["demo", "ipvs", "test"],
  },
  {
    what: "bridges",
    why: "connect the pods of a node",
    command: "ip link add vipdbr0 type bridge",
    profiles: HOST_NETFILTER,
  },
  {
    what: "iptables for IPv4 with the matches kube-proxy uses",
    why: "is what mode iptables is made of",
    command: restore("iptables-restore", "10.0.0.1"),
    profiles: HOST_NETFILTER,
  },
  {
    what: "iptables for IPv6 with the matches kube-proxy uses",
    why: "is what mode iptables is made of",
    command: `[ ! -e /proc/net/if_inet6 ] || ${restore("ip6tables-restore", "[fd00::1]")}`,
    profiles: HOST_NETFILTER,
  },
  {
    what: "nftables with maps and dynamic sets",
    why: "is what mode nftables is made of",
    command: "printf 'add table ip vipd\\n" +
      "add map ip vipd m { type ipv4_addr . inet_proto . inet_service : verdict; }\\n" +
      "add set ip vipd s { type ipv4_addr; size 100; flags dynamic,timeout; timeout 10s; }\\n" +
      "add chain ip vipd c { type nat hook prerouting priority -100; }\\n" +
      "add rule ip vipd c numgen random mod 2 vmap { 0 : accept, 1 : accept }\\n" +
      "add rule ip vipd c fib daddr type local ip daddr . meta l4proto . th dport vmap @m\\n" +
      "' | nft -f -",
    profiles: HOST_NETFILTER,
  },
];
