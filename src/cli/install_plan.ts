/**
 * What `vipd install` and `vipd uninstall` do, decided from what is on the host. A kube-proxy
 * service that runs hands over its flags; systemd stops it before vipd starts (Conflicts=, After=)
 * and neither touches rules when it stops, so connections go on.
 *
 * @module
 */

import { defaultsText, FIRST_CONFIG, unitText } from "./unit.ts";

/** Where things are. */
export const PATHS = {
  unit: "/etc/systemd/system/vipd.service",
  packagedUnit: "/lib/systemd/system/vipd.service",
  defaults: "/etc/default/vipd",
  config: "/etc/vipd/config.conf",
  /** Names the service that vipd replaced, for the way back. */
  replaced: "/etc/vipd/replaced",
} as const;

/** Where an executable that no package brought is copied to. */
export const PROGRAM = "/usr/local/sbin/vipd";

/** The service of kube-proxy on this host. */
export interface KubeProxyService {
  readonly isEnabled: boolean;
  readonly isActive: boolean;
  /** Its flags; undefined when systemd fills some of them in from variables. */
  readonly args: readonly string[] | undefined;
}

/** What is on the host. */
export interface Found {
  /** Path of the running executable. */
  readonly executable: string;
  readonly files: Readonly<Record<keyof typeof PATHS, string | undefined>>;
  readonly kubeProxy: KubeProxyService | undefined;
}

/** One thing to do. */
export type Step =
  | { readonly kind: "write"; readonly path: string; readonly text: string }
  | { readonly kind: "copy"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "systemctl"; readonly args: readonly string[] };

const KUBE_PROXY = "kube-proxy.service";
const VIPD = "vipd.service";

/**
 * Steps that make vipd the proxy of this host.
 *
 * @throws {Error} when the flags of the kube-proxy service cannot be taken over.
 */
export function planInstall(found: Found): readonly Step[] {
  const { files, kubeProxy, executable } = found;
  const isPackaged = files.packagedUnit !== undefined;
  const unit = unitText(PROGRAM);
  const steps: Step[] = [];
  if (!isPackaged && executable !== PROGRAM) {
    steps.push({ kind: "copy", from: executable, to: PROGRAM });
  }
  const args = flagsFor(found);
  if (args !== undefined) {
    steps.push({ kind: "write", path: PATHS.defaults, text: defaultsText(args) });
  }
  if (files.config === undefined && kubeProxy === undefined) {
    steps.push({ kind: "write", path: PATHS.config, text: FIRST_CONFIG });
  }
  if (!isPackaged && files.unit !== unit) {
    steps.push({ kind: "write", path: PATHS.unit, text: unit });
  }
  if (kubeProxy?.isEnabled) {
    steps.push({ kind: "write", path: PATHS.replaced, text: `${KUBE_PROXY}\n` });
    steps.push({ kind: "systemctl", args: ["disable", KUBE_PROXY] });
  }
  const words = [["daemon-reload"], ["enable", VIPD], ["restart", "--no-block", VIPD]];
  return [...steps, ...words.map((args) => ({ kind: "systemctl" as const, args }))];
}

/** Flags to write; undefined when they stay as they are. */
function flagsFor({ files, kubeProxy }: Found): readonly string[] | undefined {
  if (files.defaults !== undefined && !kubeProxy?.isActive) return undefined;
  if (kubeProxy === undefined) return [`--config=${PATHS.config}`];
  if (kubeProxy.args === undefined) {
    if (files.defaults !== undefined) return undefined;
    throw new Error(
      `Cannot take over the flags of ${KUBE_PROXY}: they are in variables. ` +
        `Write VIPD_ARGS="…" into ${PATHS.defaults} yourself and try again`,
    );
  }
  return kubeProxy.args;
}

/** Steps back; rules stay, and the service that vipd replaced writes them from then on. */
export function planUninstall({ files }: Found): readonly Step[] {
  const replaced = files.replaced?.trim();
  const steps: Step[] = [{ kind: "systemctl", args: ["disable", "--now", VIPD] }];
  if (files.unit !== undefined) {
    for (const path of [PATHS.unit, PROGRAM]) steps.push({ kind: "remove", path });
  }
  steps.push({ kind: "systemctl", args: ["daemon-reload"] });
  if (replaced !== undefined) {
    steps.push({ kind: "systemctl", args: ["enable", "--now", replaced] });
    steps.push({ kind: "remove", path: PATHS.replaced });
  }
  return steps;
}

/**
 * The flags in what `systemctl show --property=ExecStart` prints:
 * `{ path=/usr/bin/x ; argv[]=/usr/bin/x --a=b ; ignore_errors=no ; … }`. Undefined when systemd
 * fills in variables.
 */
export function parseExecStart(text: string): readonly string[] | undefined {
  const command = /argv\[\]=(.*?) ;/.exec(text)?.[1] ?? "";
  const [, ...args] = command.split(" ").filter((word) => word !== "");
  return args.some((arg) => arg.includes("$")) ? undefined : args;
}

/** One line for people. */
export function formatStep(step: Step): string {
  switch (step.kind) {
    case "copy":
      return `copy ${step.from} to ${step.to}`;
    case "systemctl":
      return `systemctl ${step.args.join(" ")}`;
    case "remove":
    case "write":
      return `${step.kind} ${step.path}`;
  }
}
