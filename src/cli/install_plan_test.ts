import { deepStrictEqual, match, strictEqual, throws } from "node:assert/strict";
import {
  formatStep,
  type Found,
  parseExecStart,
  PATHS,
  planInstall,
  planUninstall,
  PROGRAM,
} from "./install_plan.ts";
import { unitText } from "./unit.ts";

const BARE: Found = {
  executable: "/home/me/vipd",
  files: {
    unit: undefined,
    packagedUnit: undefined,
    defaults: undefined,
    config: undefined,
    replaced: undefined,
  },
  kubeProxy: undefined,
};
const INSTALLED: Found = {
  ...BARE,
  executable: PROGRAM,
  files: { ...BARE.files, unit: unitText(PROGRAM), defaults: "x", config: "y" },
};
const KUBE_PROXY = { isActive: true, isEnabled: true, args: ["--config=/k.conf", "--v=2"] };
const START = [
  "systemctl daemon-reload",
  "systemctl enable vipd.service",
  "systemctl restart --no-block vipd.service",
];

const INSTALL_ROWS = [
  ["a bare host", BARE, [
    "copy /home/me/vipd to /usr/local/sbin/vipd",
    "write /etc/default/vipd",
    "write /etc/vipd/config.conf",
    "write /etc/systemd/system/vipd.service",
    ...START,
  ]],
  ["a host that has it", INSTALLED, START],
  ["a host with the package", {
    ...INSTALLED,
    executable: "/usr/sbin/vipd",
    files: { ...INSTALLED.files, unit: undefined, packagedUnit: "z" },
  }, START],
  ["a host with kube-proxy", { ...BARE, kubeProxy: KUBE_PROXY }, [
    "copy /home/me/vipd to /usr/local/sbin/vipd",
    "write /etc/default/vipd",
    "write /etc/systemd/system/vipd.service",
    "write /etc/vipd/replaced",
    "systemctl disable kube-proxy.service",
    ...START,
  ]],
] as const;
for (const [what, found, want] of INSTALL_ROWS) {
  Deno.test(`planInstall() on ${what}`, () => {
    deepStrictEqual(planInstall(found).map(formatStep), want);
  });
}

Deno.test("planInstall() takes the flags of a kube-proxy that runs", () => {
  const step = planInstall({ ...BARE, kubeProxy: KUBE_PROXY }).find((step) =>
    step.kind === "write" && step.path === PATHS.defaults
  );
  match(step?.kind === "write" ? step.text : "", /^VIPD_ARGS="--config=\/k\.conf --v=2"$/m);
});

Deno.test("planInstall() refuses flags that are in variables", () => {
  const kubeProxy = { ...KUBE_PROXY, args: undefined };
  throws(() => planInstall({ ...BARE, kubeProxy }), /Write VIPD_ARGS/);
});

Deno.test("planUninstall() brings back the service that vipd replaced", () => {
  const files = { ...INSTALLED.files, replaced: "kube-proxy.service\n" };
  deepStrictEqual(planUninstall({ ...INSTALLED, files }).map(formatStep), [
    "systemctl disable --now vipd.service",
    "remove /etc/systemd/system/vipd.service",
    "remove /usr/local/sbin/vipd",
    "systemctl daemon-reload",
    "systemctl enable --now kube-proxy.service",
    "remove /etc/vipd/replaced",
  ]);
});

const SHOWN =
  "{ path=/usr/bin/kube-proxy ; argv[]=/usr/bin/kube-proxy --a=b --c ; ignore_errors=no }";
const EXEC_ROWS = [
  [SHOWN, ["--a=b", "--c"]],
  ["{ path=/x ; argv[]=/x ; ignore_errors=no }", []],
  ["{ path=/x ; argv[]=/x $ARGS ; ignore_errors=no }", undefined],
] as const;
for (const [text, want] of EXEC_ROWS) {
  Deno.test(`parseExecStart() of ${text}`, () => deepStrictEqual(parseExecStart(text), want));
}

Deno.test("unitText() names the executable once", () => {
  strictEqual(unitText("/opt/vipd").split("/opt/vipd").length, 2);
});
