/**
 * Canonical forms (README.md, "The dumps") of what is neither iptables nor nftables: ipset, IPVS,
 * the addresses of kube-ipvs0, flows of conntrack.
 *
 * @module
 */

/** Of `ipset save`: by set, without what the kernel picks itself. */
export function canonicalIpset(saved: string): string {
  const lines = linesOf(saved).map((line) =>
    line.replaceAll(/ (hashsize|bucketsize|initval) \S+/g, "").trimEnd()
  );
  const nameOf = (line: string): string => line.split(" ")[1] ?? "";
  const isEntry = (line: string): number => line.startsWith("add ") ? 1 : 0;
  return text(
    lines.sort((a, b) => compare(nameOf(a), nameOf(b)) || isEntry(a) - isEntry(b) || compare(a, b)),
  );
}

/** Of `ipvsadm -Sn`: by virtual server, real servers behind theirs. */
export function canonicalIpvs(saved: string): string {
  const servers: { readonly head: string; readonly real: string[] }[] = [];
  for (const line of linesOf(saved).map((line) => line.trimEnd())) {
    if (line.startsWith("-A ")) servers.push({ head: line, real: [] });
    else servers.at(-1)?.real.push(line);
  }
  servers.sort((a, b) => compare(a.head, b.head));
  return text(servers.flatMap(({ head, real }) => [head, ...real.sort(compare)]));
}

/** Of `ipvsadm -l --timeout`: "" when they are the kernel's. */
export function canonicalIpvsTimeouts(listed: string): string {
  const line = listed.trim();
  return line === "" || line.endsWith(": 900 120 300") ? "" : `${line}\n`;
}

/** Of `ip addr show DEVICE`. */
export function canonicalAddresses(listed: string): string {
  const [, name, flags] = /^\d+: ([^:@]+)[^<]*<([^>]*)>/.exec(listed) ?? [];
  if (name === undefined) return "";
  const state = / state (\S+)/.exec(listed)?.[1];
  const addresses = [...listed.matchAll(/^ +(inet6? \S+(?: brd \S+)? scope \S+)/gm)]
    .map(([, address = ""]) => address);
  return text([`device ${name} ${flags} state ${state}`, ...addresses.sort(compare)]);
}

/** Of `conntrack -L`: addresses, ports, `[UNREPLIED]`; without flows of the control plane. */
export function canonicalConntrack(listed: string, controlPlane: string): string {
  const flows = linesOf(listed)
    .filter((line) => !new RegExp(`=${RegExp.escape(controlPlane)}( |$)`).test(line))
    .map((line) => {
      const words = line.split(/\s+/);
      const kept = words.filter((word) =>
        /^(src|dst|sport|dport)=/.test(word) || word === "[UNREPLIED]"
      );
      return [words[0], ...kept].join(" ");
    });
  return text(flows.sort(compare));
}

function linesOf(from: string): string[] {
  return from.split("\n").filter((line) => line.trim() !== "");
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
