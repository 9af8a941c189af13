import { deepStrictEqual } from "node:assert/strict";
import { kubeadmConfig } from "../../test/support/kubeadm_config.ts";
import { completeConfiguration } from "./complete.ts";
import { parseConfigDocument } from "./document.ts";

Deno.test("a file as kubeadm writes it is the defaults and what it says", () => {
  const { settings, warnings } = parseConfigDocument(
    kubeadmConfig({ clusterCidr: "10.244.0.0/16" }),
    "config.conf",
  );
  deepStrictEqual(warnings, []);
  deepStrictEqual(
    completeConfiguration(settings),
    completeConfiguration({
      clusterCIDR: "10.244.0.0/16",
      "clientConnection.kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf",
      "ipvs.minSyncPeriod": 0,
    }),
  );
});
