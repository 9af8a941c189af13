/**
 * The manual page, from the table of flags.
 *
 * @module
 */

import { FLAGS } from "../../src/cli/flags.ts";
import { VIPD_VERSION } from "../../src/cli/version.ts";

/** vipd(8) for man(7). */
export function manualPage(): string {
  const flags = FLAGS.filter(({ hidden }) => !hidden).map(({ name, short, kind, bare, help }) =>
    `.TP\n.B ${roff(short === undefined ? `--${name}` : `-${short}, --${name}`)}` +
    `${bare === undefined ? ` \\fI${roff(kind)}\\fR` : ""}\n${roff(help)}`
  );
  return `.TH VIPD 8 "" "vipd ${VIPD_VERSION}" "System Administration"
.SH NAME
vipd \\- Service networking of a Kubernetes node
.SH SYNOPSIS
.B vipd
[\\fIflags\\fR]
.br
.B vipd install\\fR|\\fBuninstall
[\\fB\\-\\-check\\fR] [\\fB\\-\\-timeout=\\fIduration\\fR]
.SH DESCRIPTION
vipd makes Services of Kubernetes answer on this node, in place of kube\\-proxy. It reads the
configuration of kube\\-proxy and programs iptables, nftables or IPVS. When it ends, rules stay.
.PP
.B vipd install
makes it a service of systemd, in place of kube\\-proxy.service when there is one, which runs again when
vipd is not ready within the time (60s);
.B vipd uninstall
goes back;
.B \\-\\-check
tells what would be done.
.SH OPTIONS
${flags.join("\n")}
.SH FILES
.TP
.I /etc/vipd/config.conf
The configuration file of the service, a KubeProxyConfiguration.
.TP
.I /etc/default/vipd
Flags of the service.
.SH SEE ALSO
.BR iptables (8),
.BR nft (8),
.BR ipvsadm (8),
.BR systemd.service (5)
`;
}

function roff(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^([.'])/, "\\&$1");
}
