import { ok, strictEqual } from "node:assert/strict";
import { METRICS } from "./metric_table.ts";
import { Metrics } from "./metrics.ts";

Deno.test("Metrics has labelled counters with 0 before the first failure (MET-04)", async () => {
  const metrics = new Metrics("iptables");
  metrics.serve("IPv4");
  const text = await metrics.text();
  for (
    const line of [
      'kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv4"} 0',
      'kubeproxy_proxy_healthz_total{code="503"} 0',
      'kubeproxy_vipd_sync_failures_total{ip_family="IPv4"} 0',
    ]
  ) ok(text.includes(`${line}\n`), line);
});

Deno.test("Metrics has those of its mode only, others are ignored", async () => {
  const metrics = new Metrics("nftables");
  metrics.serve("IPv6");
  metrics.add("kubeproxy_sync_proxy_rules_iptables_restore_failures_total", 1, {
    ip_family: "IPv6",
  });
  const text = await metrics.text();
  ok(!text.includes("iptables_restore_failures"));
  ok(text.includes('kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv6"} 0'));
});

Deno.test("Metrics takes over what others count, at each scrape (MET-02)", async () => {
  const name = "kubeproxy_iptables_localhost_nodeports_accepted_packets_total";
  const metrics = new Metrics("iptables");
  ok((await metrics.text()).includes(`${name} 0\n`));
  let packets = 3;
  metrics.follow(() => ({ [name]: packets }));
  ok((await metrics.text()).includes(`${name} 3\n`));
  packets = 5;
  ok((await metrics.text()).includes(`${name} 5\n`));
});

Deno.test("METRICS has the buckets of kube-proxy", () => {
  const sync = METRICS.kubeproxy_sync_proxy_rules_duration_seconds.buckets;
  strictEqual(sync.length, 15);
  strictEqual(sync.at(-1), 16.384);
  const programming = METRICS.kubeproxy_network_programming_duration_seconds.buckets;
  strictEqual(programming.length, 2 + 59 + 12 + 7);
  strictEqual(programming.at(-1), 300);
});
