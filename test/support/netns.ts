/**
 * Network namespaces for tests and the demo: a topology is one value, made by one shell and
 * removed with everything that runs in it.
 *
 * Names are `TAG-PID-N-NAME`, so that several runs live side by side and what a crashed run left
 * behind is found by its dead PID and removed by the next one. Needs root and iproute2.
 *
 * @module
 */

import { ended, type Result, type RunSettings, spawn } from "./process.ts";

/** As the namespace of a {@linkcode LinkEnd}: the one this process is in. */
export const HERE = "";

/** One end of a veth pair. */
export interface LinkEnd {
  /** Short name of the namespace, or {@linkcode HERE}. */
  readonly in: string;
  readonly device: string;
  /** With prefix length, e.g. `10.0.0.1/24`; IPv6 without duplicate address detection. */
  readonly addresses?: readonly string[];
  readonly mac?: string;
  /** Name of a bridge in the same namespace. */
  readonly bridge?: string;
}

/** What {@linkcode openNetwork} makes. */
export interface Topology {
  /** Short, e.g. `demo`: starts every name of the run. */
  readonly tag: string;
  /** Short names. Each has `lo` up and no link-local addresses. */
  readonly namespaces: readonly string[];
  readonly bridges?: readonly LinkEnd[];
  readonly links?: readonly (readonly [LinkEnd, LinkEnd])[];
  /** Per namespace, arguments of `ip route add`, e.g. `default via 10.0.0.1`. */
  readonly routes?: Readonly<Record<string, readonly string[]>>;
  /** Per namespace, below `/proc/sys/net`, e.g. `{ "ipv4/ip_forward": "1" }`. */
  readonly sysctls?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Namespaces that stand; they go with `await using`. */
export interface Network extends AsyncDisposable {
  /** The full name of a namespace, for `ip netns exec`. */
  name(namespace: string): string;
  /** Runs a command inside and waits for its end; any exit status is a result. */
  exec(namespace: string, command: readonly string[], settings?: RunSettings): Promise<Result>;
  /** Like `exec`, but throws with stderr when the status is not 0. Returns stdout. */
  run(namespace: string, command: readonly string[], settings?: RunSettings): Promise<string>;
  /** Runs a script in `sh -e` inside. Throws as `run` does. */
  sh(namespace: string, script: string, settings?: RunSettings): Promise<string>;
  /** Starts a command inside. */
  spawn(
    namespace: string,
    command: readonly string[],
    settings?: Deno.CommandOptions,
  ): Deno.ChildProcess;
}

let opened = 0;

/** Makes the namespaces, links, addresses and routes, after removing what dead runs left. */
export async function openNetwork(topology: Topology): Promise<Network> {
  const prefix = `${topology.tag}-${Deno.pid}-${opened++}-`;
  const fullName = (namespace: string): string => {
    if (!topology.namespaces.includes(namespace)) {
      throw new TypeError(`No namespace "${namespace}" in network "${topology.tag}"`);
    }
    return prefix + namespace;
  };
  const network = networkOf(topology, fullName);
  await removeNamespaces(await leftovers(topology.tag));
  try {
    await shell(setUpScript(topology, fullName));
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
  return network;
}

function networkOf(topology: Topology, fullName: (namespace: string) => string): Network {
  const inside = (namespace: string, command: readonly string[]): string[] => [
    ...["ip", "netns", "exec", fullName(namespace)],
    ...command,
  ];
  const network: Network = {
    name: fullName,
    exec: (namespace, command, settings) => ended(inside(namespace, command), settings),
    async run(namespace, command, settings) {
      const { code, stdout, stderr } = await network.exec(namespace, command, settings);
      if (code === 0) return stdout;
      throw new Error(`"${command.join(" ")}" in ${namespace} ended with ${code}: ${stderr}`);
    },
    sh: (namespace, script, settings) =>
      network.run(namespace, ["sh", "-e"], { ...settings, stdin: script }),
    spawn: (namespace, command, settings) => spawn(inside(namespace, command), settings),
    async [Symbol.asyncDispose]() {
      await removeHere(endsIn(HERE, topology));
      await removeNamespaces(topology.namespaces.map(fullName));
    },
  };
  return network;
}

/** One shell: a process per `ip` command would cost more than the commands. */
function setUpScript(topology: Topology, fullName: (namespace: string) => string): string {
  const { namespaces, bridges = [], links = [], routes = {}, sysctls = {} } = topology;
  const outer = [
    ...namespaces.map((namespace) => `netns add ${fullName(namespace)}`),
    ...links.map(([a, b]) => {
      const end = ({ device, in: namespace, mac }: LinkEnd): string =>
        `name ${device}${namespace === HERE ? "" : ` netns ${fullName(namespace)}`}` +
        (mac ? ` address ${mac}` : "");
      return `link add ${end(a)} type veth peer ${end(b)}`;
    }),
  ];
  const here = [
    ...endsIn(HERE, topology).flatMap(endCommands),
    ...(routes[HERE] ?? []).map((route) => `route add ${route}`),
  ];
  const lines = ["set -e", batch([], [...outer, ...here])];
  for (const namespace of namespaces) {
    const ends = endsIn(namespace, topology);
    const own = bridges.filter((bridge) => bridge.in === namespace);
    lines.push(
      batch(["-n", fullName(namespace)], [
        "link set lo up",
        ...own.map(({ device }) => `link add ${device} type bridge`),
        ...ends.flatMap(endCommands),
        ...(routes[namespace] ?? []).map((route) => `route add ${route}`),
      ]),
      ...Object.entries(sysctls[namespace] ?? {}).map(([path, value]) =>
        `ip netns exec ${fullName(namespace)} sh -c 'echo ${value} > /proc/sys/net/${path}'`
      ),
    );
  }
  return lines.join("\n");
}

function endsIn(namespace: string, { bridges = [], links = [] }: Topology): LinkEnd[] {
  return [...bridges, ...links.flat()].filter((end) => end.in === namespace);
}

function endCommands({ device, addresses = [], bridge }: LinkEnd): string[] {
  return [
    `link set ${device} addrgenmode none`, // no link-local address that depends on the MAC
    ...(bridge ? [`link set ${device} master ${bridge}`] : []),
    ...addresses.map((address) =>
      `addr add ${address} dev ${device}${address.includes(":") ? " nodad" : ""}`
    ),
    `link set ${device} up`,
  ];
}

function batch(options: readonly string[], commands: readonly string[]): string {
  return [`ip ${options.join(" ")} -batch - <<'END'`, ...commands, "END"].join("\n");
}

/** Namespaces of this tag whose process is no more. */
async function leftovers(tag: string): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name } of Deno.readDir("/run/netns")) {
      const pid = name.startsWith(`${tag}-`) ? /^(\d+)-/.exec(name.slice(tag.length + 1)) : null;
      if (pid?.[1] !== undefined && !isAlive(pid[1])) found.push(name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found;
}

function isAlive(pid: string): boolean {
  try {
    return Deno.statSync(`/proc/${pid}`).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Kills what runs in the namespaces first: a namespace lives as long as a process in it. */
async function removeNamespaces(names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const each = names.join(" ");
  await shell(
    `for n in ${each}; do [ -e /run/netns/$n ] || continue
       pids=$(ip netns pids $n) && [ -n "$pids" ] && kill -9 $pids
       ip netns del $n || failed=1
     done
     [ -z "$failed" ]`,
  );
}

/** At once: what goes with the other namespace goes some time later. */
async function removeHere(ends: readonly LinkEnd[]): Promise<void> {
  if (ends.length === 0) return;
  await shell(ends.map(({ device }) => `ip link del ${device} 2>/dev/null || true`).join("\n"));
}

async function shell(script: string): Promise<void> {
  const { code, stderr } = await ended(["sh"], { stdin: script });
  if (code !== 0) throw new Error(`Cannot set up or remove network namespaces: ${stderr}`);
}
