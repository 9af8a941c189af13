import { deepStrictEqual, equal, match, ok, rejects } from "node:assert/strict";
import { bootUml } from "./boot.ts";

Deno.test("bootUml() has what the tests in it need, and tells how the script ended", async () => {
  const lines: string[] = [];
  const { code, output } = await bootUml({
    timeoutMs: 60_000,
    env: { GREETING: "it's here" },
    onLine: (line) => lines.push(line),
    script: `
      echo "$GREETING"
      modprobe -a ip_vs ip_vs_rr ip_vs_mh dummy nf_conntrack nfnetlink_acct && ipvsadm -A -t 10.0.0.1:80 -s mh && ipvsadm -Sn
      ip link add kube-ipvs0 type dummy && echo dummy works
      ip netns add x && ip netns exec x iptables-legacy -t nat -N PROBE && echo nat works
      ip netns exec x ip6tables-legacy-save
      ipset create probe hash:ip,port,net comment && ipset add probe 10.0.0.1,tcp:80,10.0.0.0/8 && echo ipset works
      conntrack -L >/dev/null && echo conntrack works
      ip netns exec x deno eval 'console.log("deno works", Deno.version.deno)'
      exit 7`,
  });
  equal(code, 7, output);
  for (const word of ["it's here", "-A -t 10.0.0.1:80 -s mh", ...WORKS]) {
    match(output, new RegExp(word));
  }
  equal(lines.filter((line) => line === "it's here").length, 1);
});

const WORKS = ["dummy works", "nat works", "ipset works", "conntrack works", "deno works 2.9.6"];

Deno.test("bootUml() ends a script that hangs", async () => {
  const before = Date.now();
  const { code } = await bootUml({ script: "sleep 100 & sleep 1000", timeoutMs: 6_000 });
  equal(code, 124);
  ok(Date.now() - before < 20_000);
});

Deno.test("bootUml() tells when the kernel died", async () => {
  const { code } = await bootUml({ script: "echo o >/proc/sysrq-trigger; sleep 9" });
  equal(code, 125);
});

Deno.test("bootUml() removes what a killed run left, once, when several boot", async () => {
  const gone = new Deno.Command("true").spawn();
  await gone.status;
  const left = `/tmp/vipd-uml-${gone.pid}-left`;
  await Deno.mkdir(`${left}/deep`, { recursive: true });
  const results = await Promise.all([1, 2, 3].map(() => bootUml({ script: "exit 3" })));
  deepStrictEqual(results.map(({ code }) => code), [3, 3, 3]);
  await rejects(Deno.stat(left), Deno.errors.NotFound);
});
