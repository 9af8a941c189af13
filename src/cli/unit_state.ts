/**
 * A unit of systemd as `systemctl show` tells it: is it there, does it run, is it started at boot,
 * with which flags. See systemctl(1), org.freedesktop.systemd1(5).
 *
 * @module
 */

/** What is asked of a unit. */
export const UNIT_PROPERTIES: readonly string[] = [
  "LoadState",
  "ActiveState",
  "SubState",
  "UnitFileState",
  "FragmentPath",
  "InvocationID",
  "ExecStart",
];

/** A unit; one that does not exist is `not-found`. */
export interface UnitState {
  readonly load: string;
  /** `active`, `inactive`, `activating`, `failed`, … */
  readonly active: string;
  /** `running`, `auto-restart`, … */
  readonly sub: string;
  readonly isEnabled: boolean;
  /** Its file; empty when there is none. */
  readonly file: string;
  /** Names one run: another start has another one. Empty before the first. */
  readonly invocation: string;
  /** Its flags; undefined when systemd fills some of them in from variables. */
  readonly args: readonly string[] | undefined;
}

/** Reads the lines `Name=value` for {@linkcode UNIT_PROPERTIES}. */
export function parseUnitState(text: string): UnitState {
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(text)?.[1] ?? "";
  return {
    load: value("LoadState"),
    active: value("ActiveState"),
    sub: value("SubState"),
    isEnabled: value("UnitFileState") === "enabled",
    file: value("FragmentPath"),
    invocation: value("InvocationID"),
    args: parseExecStart(value("ExecStart")),
  };
}

/** Whether the unit runs, or systemd is about to start it again. */
export function isAtWork({ active }: UnitState): boolean {
  return active !== "inactive" && active !== "failed" && active !== "";
}

/** Whether the unit ended, be it that systemd is about to start it again. */
export function hasEnded({ active, sub }: UnitState): boolean {
  return active === "failed" || active === "inactive" || sub === "auto-restart";
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
