/**
 * What this process may do. An executable starts with all that any of its commands needs; each
 * command gives up what it does not need before it reads anything from outside.
 *
 * @module
 */

/** Kinds of commands that need different things. */
export type Command = "tell" | "write-config" | "proxy" | "install";

const RUN = { name: "run" } as const;
const WRITE = { name: "write" } as const;
const NET = { name: "net" } as const;
const FFI = { name: "ffi" } as const;
const SYS = { name: "sys" } as const;
const SYSTEMCTL = { name: "run", command: "systemctl" } as const;

const GIVEN_UP: Readonly<Record<Command, readonly Deno.PermissionDescriptor[]>> = {
  tell: [RUN, WRITE, NET, FFI, SYS],
  "write-config": [RUN, NET, FFI, SYS],
  proxy: [WRITE, SYSTEMCTL],
  install: [FFI, SYS],
};

/** Gives up what the command does not need; there is no way back. */
export function giveUpAbilities(command: Command): void {
  for (const descriptor of GIVEN_UP[command]) Deno.permissions.revokeSync(descriptor);
}
