/**
 * What `vipd install` and `vipd uninstall` do, decided from what is on the host. A kube-proxy
 * service that runs hands over its flags; systemd stops it before vipd starts (Conflicts=, After=)
 * and neither touches rules when it stops, so connections go on. Everything that could fail is done
 * while kube-proxy still runs, and each step says how it is taken back.
 *
 * @module
 */

import { defaultsText, FIRST_CONFIG, unitText } from "./unit.ts";
import { isAtWork, type UnitState } from "./unit_state.ts";

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

/** The service that is replaced. */
export const KUBE_PROXY = "kube-proxy.service";
/** The service that is installed. */
export const VIPD = "vipd.service";

/** What is on the host. */
export interface Found {
  /** Path of the running executable. */
  readonly executable: string;
  readonly hasProgram: boolean;
  readonly files: Readonly<Record<keyof typeof PATHS, string | undefined>>;
  readonly kubeProxy: UnitState;
  /** Where the file of kube-proxy's unit really is, when it is a link to elsewhere. */
  readonly kubeProxyLink: string | undefined;
  readonly vipd: UnitState;
}

/** One thing to do. */
export type Action =
  | { readonly kind: "write"; readonly path: string; readonly text: string }
  | { readonly kind: "copy"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "systemctl"; readonly args: readonly string[] };

/** One thing to do, and what takes it back. */
export interface Step {
  readonly action: Action;
  readonly undo: readonly Action[];
}

/** Steps back, in two halves: the second is for when the replaced service stays up. */
export interface WayBack {
  /** Empty when there is nothing to give back to. */
  readonly giveBack: readonly Step[];
  readonly removal: readonly Step[];
  /** What somebody should know. */
  readonly note: string | undefined;
}

/** Whether an installation takes the place of a kube-proxy that runs. */
export function isTakeOver({ kubeProxy }: Found): boolean {
  return kubeProxy.load === "loaded" && isAtWork(kubeProxy);
}

/**
 * Steps that make vipd the proxy of this host.
 *
 * @throws {Error} when something would be lost that cannot be given back.
 */
export function planInstall(found: Found): readonly Step[] {
  refuseMasked(found);
  const { vipd } = found;
  const isNew = !isAtWork(vipd);
  return [
    ...filesOf(found),
    systemctl("daemon-reload"),
    undoable(systemctl("enable", VIPD), vipd.isEnabled ? [] : [run("disable", VIPD)]),
    ...retireKubeProxy(found),
    undoable(systemctl("restart", "--no-block", VIPD), [
      ...(isNew ? [run("stop", VIPD)] : []),
      ...(isTakeOver(found) ? [run("start", KUBE_PROXY)] : []),
    ]),
  ];
}

function refuseMasked({ vipd, kubeProxy }: Found): void {
  if (vipd.load === "masked") {
    throw new Error(`${VIPD} is masked. Run "systemctl unmask ${VIPD}" and try again`);
  }
  if (kubeProxy.load === "masked" && isAtWork(kubeProxy)) {
    throw new Error(
      `${KUBE_PROXY} is masked and yet runs: its flags cannot be read, and it could not be ` +
        `started again. Run "systemctl unmask ${KUBE_PROXY}", or stop it, and try again`,
    );
  }
}

function filesOf(found: Found): readonly Step[] {
  const { files, executable, hasProgram, kubeProxy } = found;
  const isPackaged = files.packagedUnit !== undefined;
  const unit = unitText(PROGRAM);
  const steps: Step[] = [];
  if (!isPackaged && executable !== PROGRAM) {
    const action: Action = { kind: "copy", from: executable, to: PROGRAM };
    steps.push({ action, undo: hasProgram ? [] : [{ kind: "remove", path: PROGRAM }] });
  }
  const args = flagsFor(found);
  if (args !== undefined) steps.push(write(found, { name: "defaults", text: defaultsText(args) }));
  if (files.config === undefined && kubeProxy.load !== "loaded") {
    steps.push(write(found, { name: "config", text: FIRST_CONFIG }));
  }
  if (!isPackaged && files.unit !== unit) {
    const step = write(found, { name: "unit", text: unit });
    steps.push({ ...step, undo: [...step.undo, run("daemon-reload")] });
  }
  return steps;
}

/**
 * Flags that vipd will start with; undefined when they stay as they are.
 *
 * @throws {Error} when those of kube-proxy cannot be written down.
 */
export function flagsFor(found: Found): readonly string[] | undefined {
  const { files, kubeProxy } = found;
  if (files.defaults !== undefined && !isTakeOver(found)) return undefined;
  if (kubeProxy.load !== "loaded") return [`--config=${PATHS.config}`];
  if (kubeProxy.args === undefined) {
    if (files.defaults !== undefined) return undefined;
    throw new Error(cannotTakeOver("they are in variables"));
  }
  const odd = kubeProxy.args.find((arg) => /["'\\]/.test(arg));
  if (odd !== undefined) throw new Error(cannotTakeOver(`${odd} has quotes`));
  return kubeProxy.args;
}

function cannotTakeOver(why: string): string {
  return `Cannot take over the flags of ${KUBE_PROXY}: ${why}. ` +
    `Write VIPD_ARGS="…" into ${PATHS.defaults} yourself and try again`;
}

function retireKubeProxy(found: Found): readonly Step[] {
  const { kubeProxy, kubeProxyLink, files } = found;
  if (kubeProxy.load !== "loaded" || !(kubeProxy.isEnabled || isTakeOver(found))) return [];
  const before = parseReplaced(files.replaced);
  const enable = kubeProxy.isEnabled ? kubeProxyLink ?? KUBE_PROXY : before?.enable;
  const text = [KUBE_PROXY, ...(enable === undefined ? [] : ["enable", enable])].join(" ");
  return [
    write(found, { name: "replaced", text: `${text}\n` }),
    ...(kubeProxy.isEnabled
      ? [undoable(systemctl("disable", KUBE_PROXY), [run("enable", enable ?? KUBE_PROXY)])]
      : []),
  ];
}

/** What {@linkcode PATHS.replaced} says: `kube-proxy.service`, `kube-proxy.service enable UNIT`. */
function parseReplaced(text: string | undefined): { readonly enable?: string } | undefined {
  if (text === undefined) return undefined;
  const [, verb, unit] = text.trim().split(" ");
  return verb === "enable" && unit !== undefined ? { enable: unit } : {};
}

/** Steps back; rules stay, and the service that vipd replaced writes them from then on. */
export function planUninstall(found: Found): WayBack {
  const { files, vipd, kubeProxy } = found;
  const back = parseReplaced(files.replaced);
  const isThere = kubeProxy.load === "loaded" || back?.enable?.startsWith("/");
  return {
    giveBack: back === undefined || !isThere ? [] : [
      ...(back.enable === undefined
        ? []
        : [undoable(systemctl("enable", back.enable), [run("disable", KUBE_PROXY)])]),
      undoable(
        systemctl("start", KUBE_PROXY),
        isAtWork(vipd) ? [run("stop", KUBE_PROXY), run("start", VIPD)] : [],
      ),
    ],
    removal: removal(found),
    note: back === undefined || isThere
      ? undefined
      : `${KUBE_PROXY}, which vipd replaced, is ${kubeProxy.load}: ` +
        "nothing takes the place of vipd, its rules stay as they are",
  };
}

function removal({ files, vipd }: Found): readonly Step[] {
  const paths = files.unit === undefined ? [] : [PATHS.unit, PROGRAM];
  return [
    ...(vipd.load === "loaded" ? [systemctl("disable", "--now", VIPD)] : []),
    ...paths.map(remove),
    ...(paths.length > 0 ? [systemctl("daemon-reload")] : []),
    ...(files.replaced === undefined ? [] : [remove(PATHS.replaced)]),
  ];
}

function write(
  { files }: Found,
  { name, text }: { readonly name: keyof typeof PATHS; readonly text: string },
): Step {
  const path = PATHS[name];
  const before = files[name];
  return {
    action: { kind: "write", path, text },
    undo: [before === undefined ? { kind: "remove", path } : { kind: "write", path, text: before }],
  };
}

function remove(path: string): Step {
  return { action: { kind: "remove", path }, undo: [] };
}

function run(...args: readonly string[]): Action {
  return { kind: "systemctl", args };
}

function systemctl(...args: readonly string[]): Step {
  return { action: run(...args), undo: [] };
}

function undoable(step: Step, undo: readonly Action[]): Step {
  return { ...step, undo };
}

/** What takes steps back, the last one first. */
export function planUndo(done: readonly Step[]): readonly Action[] {
  return done.toReversed().flatMap(({ undo }) => undo);
}

/** One line for people. */
export function formatAction(action: Action): string {
  switch (action.kind) {
    case "copy":
      return `copy ${action.from} to ${action.to}`;
    case "systemctl":
      return `systemctl ${action.args.join(" ")}`;
    case "remove":
    case "write":
      return `${action.kind} ${action.path}`;
  }
}
