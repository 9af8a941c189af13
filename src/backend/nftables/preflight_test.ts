import { throws } from "node:assert/strict";
import { checkRelease } from "./preflight.ts";

Deno.test("checkRelease() takes kernels from 5.13 on", () => {
  checkRelease("5.13.0-1-amd64\n", "");
  checkRelease("6.18.44-fc-v669", "A=b\0");
  for (const release of ["5.12.19", "4.18.0-553.el8", "", "?"]) {
    throws(() => checkRelease(release, "A=b\0"), /older than 5\.13/);
  }
});

Deno.test("checkRelease() looks away when it is told to", () => {
  const variable = "KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK";
  checkRelease("4.18.0", `PATH=/bin\0${variable}=1\0`);
  throws(() => checkRelease("4.18.0", `${variable}=\0`), /set KUBE_PROXY_NFTABLES_SKIP/);
});
