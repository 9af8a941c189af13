import { deepStrictEqual, match, strictEqual, throws } from "node:assert/strict";
import {
  type Action,
  flagsFor,
  formatAction,
  type Found,
  PATHS,
  planInstall,
  planUndo,
  planUninstall,
  PROGRAM,
  type Step,
} from "./install_plan.ts";
import { unitText } from "./unit.ts";
import type { UnitState } from "./unit_state.ts";

const ABSENT: UnitState = {
  load: "not-found",
  active: "inactive",
  sub: "dead",
  isEnabled: false,
  file: "",
  invocation: "",
  args: [],
};
const RUNNING: UnitState = {
  ...ABSENT,
  load: "loaded",
  active: "active",
  sub: "running",
  isEnabled: true,
  args: ["--config=/k.conf", "--v=2"],
};
const STOPPED: UnitState = { ...RUNNING, active: "inactive", sub: "dead", isEnabled: false };
const BARE: Found = {
  executable: "/home/me/vipd",
  hasProgram: false,
  files: {
    unit: undefined,
    packagedUnit: undefined,
    defaults: undefined,
    config: undefined,
    replaced: undefined,
  },
  kubeProxy: ABSENT,
  kubeProxyLink: undefined,
  vipd: ABSENT,
};
const INSTALLED: Found = {
  ...BARE,
  executable: PROGRAM,
  hasProgram: true,
  files: { ...BARE.files, unit: unitText(PROGRAM), defaults: "x", config: "y" },
  vipd: RUNNING,
};
const WITH_KUBE_PROXY: Found = { ...BARE, kubeProxy: RUNNING };
const REPLACED: Found = {
  ...INSTALLED,
  files: { ...INSTALLED.files, replaced: "kube-proxy.service enable kube-proxy.service\n" },
  kubeProxy: STOPPED,
};
const START = [
  "systemctl daemon-reload",
  "systemctl enable vipd.service",
  "systemctl restart --no-block vipd.service",
];

function lines(steps: readonly Step[]): readonly string[] {
  return steps.map(({ action }) => formatAction(action));
}

const INSTALL_ROWS = [
  ["a bare host", BARE, [
    "copy /home/me/vipd to /usr/local/sbin/vipd",
    "write /etc/default/vipd",
    "write /etc/vipd/config.conf",
    "write /etc/systemd/system/vipd.service",
    ...START,
  ]],
  ["a host that has it", INSTALLED, START],
  ["a host where it replaced kube-proxy", REPLACED, START],
  ["a host with the package", {
    ...INSTALLED,
    executable: "/usr/sbin/vipd",
    files: { ...INSTALLED.files, unit: undefined, packagedUnit: "z" },
  }, START],
  ["a host with kube-proxy", WITH_KUBE_PROXY, [
    "copy /home/me/vipd to /usr/local/sbin/vipd",
    "write /etc/default/vipd",
    "write /etc/systemd/system/vipd.service",
    "systemctl daemon-reload",
    "systemctl enable vipd.service",
    "write /etc/vipd/replaced",
    "systemctl disable kube-proxy.service",
    "systemctl restart --no-block vipd.service",
  ]],
  ["a host whose kube-proxy is masked and stopped", {
    ...INSTALLED,
    kubeProxy: { ...ABSENT, load: "masked" },
  }, START],
] as const;
for (const [what, found, want] of INSTALL_ROWS) {
  Deno.test(`planInstall() on ${what}`, () => deepStrictEqual(lines(planInstall(found)), want));
}

const UNDO_ROWS = [
  ["a bare host", BARE, [
    "systemctl stop vipd.service",
    "systemctl disable vipd.service",
    "remove /etc/systemd/system/vipd.service",
    "systemctl daemon-reload",
    "remove /etc/vipd/config.conf",
    "remove /etc/default/vipd",
    "remove /usr/local/sbin/vipd",
  ]],
  ["a host with kube-proxy", WITH_KUBE_PROXY, [
    "systemctl stop vipd.service",
    "systemctl start kube-proxy.service",
    "systemctl enable kube-proxy.service",
    "remove /etc/vipd/replaced",
    "systemctl disable vipd.service",
    "remove /etc/systemd/system/vipd.service",
    "systemctl daemon-reload",
    "remove /etc/default/vipd",
    "remove /usr/local/sbin/vipd",
  ]],
  ["a host that has it", INSTALLED, []],
] as const;
for (const [what, found, want] of UNDO_ROWS) {
  Deno.test(`planUndo() of an installation on ${what}`, () => {
    deepStrictEqual(planUndo(planInstall(found)).map(formatAction), want);
  });
}

Deno.test("planUndo() writes what a file said before", () => {
  const found = { ...WITH_KUBE_PROXY, files: { ...BARE.files, defaults: "mine" } };
  const undo = planUndo(planInstall(found));
  const back: Action = { kind: "write", path: PATHS.defaults, text: "mine" };
  deepStrictEqual(undo.find((action) => action.kind === "write"), back);
});

function written(found: Found, path: string): string {
  const actions = planInstall(found).map(({ action }) => action);
  const write = actions.find((action) => action.kind === "write" && action.path === path);
  return write?.kind === "write" ? write.text : "";
}

const REPLACED_ROWS = [
  ["enabled", WITH_KUBE_PROXY, "kube-proxy.service enable kube-proxy.service\n"],
  ["started by hand", {
    ...BARE,
    kubeProxy: { ...RUNNING, isEnabled: false },
  }, "kube-proxy.service\n"],
  [
    "a link that disabling removes",
    { ...WITH_KUBE_PROXY, kubeProxyLink: "/opt/k/kube-proxy.service" },
    "kube-proxy.service enable /opt/k/kube-proxy.service\n",
  ],
  [
    "started by hand after vipd had replaced it",
    { ...REPLACED, kubeProxy: { ...RUNNING, isEnabled: false } },
    "kube-proxy.service enable kube-proxy.service\n",
  ],
] as const;
for (const [what, found, want] of REPLACED_ROWS) {
  Deno.test(`planInstall() notes for the way back a kube-proxy that is ${what}`, () => {
    strictEqual(written(found, PATHS.replaced), want);
  });
}

Deno.test("planInstall() takes the flags of a kube-proxy that runs", () => {
  const text = written(WITH_KUBE_PROXY, PATHS.defaults);
  match(text, /^VIPD_ARGS="--config=\/k\.conf --v=2"$/m);
});

const REFUSED_ROWS = [
  ["flags that are in variables", { kubeProxy: { ...RUNNING, args: undefined } }, /VIPD_ARGS/],
  ["a flag with quotes", { kubeProxy: { ...RUNNING, args: ['--x="a'] } }, /--x="a has quotes/],
  ["a masked kube-proxy that runs", {
    kubeProxy: { ...RUNNING, load: "masked" },
  }, /unmask kube-proxy/],
  ["a masked vipd", { vipd: { ...ABSENT, load: "masked" } }, /unmask vipd/],
] as const;
for (const [what, found, message] of REFUSED_ROWS) {
  Deno.test(`planInstall() refuses ${what}`, () => {
    throws(() => planInstall({ ...BARE, ...found }), message);
  });
}

Deno.test("flagsFor() leaves flags alone that somebody wrote down because of variables", () => {
  const kubeProxy = { ...RUNNING, args: undefined };
  strictEqual(flagsFor({ ...INSTALLED, kubeProxy }), undefined);
});

const UNINSTALL_ROWS = [
  ["a host where it replaced kube-proxy", REPLACED, [
    "systemctl enable kube-proxy.service",
    "systemctl start kube-proxy.service",
  ], [
    "systemctl disable --now vipd.service",
    "remove /etc/systemd/system/vipd.service",
    "remove /usr/local/sbin/vipd",
    "systemctl daemon-reload",
    "remove /etc/vipd/replaced",
  ]],
  ["a host that has it alone", INSTALLED, [], [
    "systemctl disable --now vipd.service",
    "remove /etc/systemd/system/vipd.service",
    "remove /usr/local/sbin/vipd",
    "systemctl daemon-reload",
  ]],
  [
    "a host with the package",
    {
      ...INSTALLED,
      files: { ...INSTALLED.files, unit: undefined, packagedUnit: "z" },
    },
    [],
    ["systemctl disable --now vipd.service"],
  ],
  ["a host that does not have it", BARE, [], []],
] as const;
for (const [what, found, giveBack, removal] of UNINSTALL_ROWS) {
  Deno.test(`planUninstall() on ${what}`, () => {
    const way = planUninstall(found);
    deepStrictEqual(lines(way.giveBack), giveBack);
    deepStrictEqual(lines(way.removal), removal);
    strictEqual(way.note, undefined);
  });
}

Deno.test("planUninstall() starts vipd again when kube-proxy does not stay up", () => {
  deepStrictEqual(planUndo(planUninstall(REPLACED).giveBack).map(formatAction), [
    "systemctl stop kube-proxy.service",
    "systemctl start vipd.service",
    "systemctl disable kube-proxy.service",
  ]);
});

Deno.test("planUninstall() says that the service which vipd replaced is gone", () => {
  const way = planUninstall({ ...REPLACED, kubeProxy: ABSENT });
  deepStrictEqual(way.giveBack, []);
  match(way.note ?? "", /kube-proxy\.service, which vipd replaced, is not-found/);
});

Deno.test("unitText() names the executable once", () => {
  strictEqual(unitText("/opt/vipd").split("/opt/vipd").length, 2);
});
