/**
 * Containers as the kubelet would start them from deploy/, run by crun: the image unpacked, the pod
 * of the DaemonSet as an OCI specification, files of the node and of the cluster below a directory.
 *
 * @module
 */

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { ended, type Result } from "../support/process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const CGROUPS = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup";

/** crun refuses machines that mix both versions of control groups: it is shown one. */
const CRUN = [
  ...["unshare", "--mount", "sh", "-c"],
  `${CGROUPS}; exec crun --cgroup-manager=disabled "$@"`,
  "crun",
];

/** As engines set them up for containers without privileges. */
const READ_ONLY_PATHS = ["bus", "fs", "irq", "sys", "sysrq-trigger"].map((name) => `/proc/${name}`);
const MASKED_PATHS = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"];

/** What of deploy/ a test needs. */
export interface Pod {
  /** Fields of the container of the DaemonSet, with the patch for fewer privileges applied. */
  readonly container: {
    readonly args: readonly string[];
    readonly volumeMounts: readonly VolumeMount[];
    readonly securityContext: SecurityContext;
  };
  readonly volumes: readonly Volume[];
  /** Files of the ConfigMap. */
  readonly config: Readonly<Record<string, string>>;
}

interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
}

interface Volume {
  readonly name: string;
  readonly configMap?: object;
  readonly hostPath?: { readonly path: string; readonly type?: string };
}

interface SecurityContext {
  readonly privileged: boolean;
  readonly allowPrivilegeEscalation: boolean;
  readonly readOnlyRootFilesystem: boolean;
  readonly capabilities: { readonly drop: readonly string[]; readonly add: readonly string[] };
}

/** Runs a command to its end and expects success. Returns stdout. */
export async function passes(command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ended(command);
  assert.equal(code, 0, `${command.join(" ")}: ${stderr}`);
  return stdout;
}

/** Unpacks the only layer of dist/image.tar, as an engine does. */
export async function unpackImage(bundle: string): Promise<void> {
  const layout = `${bundle}/layout`;
  await Deno.mkdir(layout);
  await Deno.mkdir(`${bundle}/rootfs`);
  await passes(["tar", "-xf", `${ROOT}dist/image.tar`, "-C", layout]);
  const blob = async (digest: string) =>
    JSON.parse(await Deno.readTextFile(`${layout}/blobs/${digest.replace(":", "/")}`));
  const index = JSON.parse(await Deno.readTextFile(`${layout}/index.json`));
  const manifest = await blob(index.manifests[0].digest);
  const layer = `${layout}/blobs/${manifest.layers[0].digest.replace(":", "/")}`;
  await passes(["tar", "-xzf", layer, "-C", `${bundle}/rootfs`]);
}

/** Reads deploy/base/vipd.yaml with deploy/unprivileged/daemonset.yaml over it. */
export async function readPod(): Promise<Pod> {
  const text = await Deno.readTextFile(`${ROOT}deploy/base/vipd.yaml`);
  const objects = parseAllDocuments(text).map((document) => document.toJS());
  const find = (kind: string) => objects.find((object) => object.kind === kind);
  const patch = parse(await Deno.readTextFile(`${ROOT}deploy/unprivileged/daemonset.yaml`));
  const { containers: [container], volumes } = find("DaemonSet").spec.template.spec;
  const { securityContext } = patch.spec.template.spec.containers[0];
  return { container: { ...container, securityContext }, volumes, config: find("ConfigMap").data };
}

/** Where and as what a container runs. */
export interface ContainerOptions {
  /** Unpacked by {@linkcode unpackImage}. */
  readonly bundle: string;
  readonly pod: Pod;
  /** Full name of the network namespace that is the node's. */
  readonly namespace: string;
  /** Name of the Node. */
  readonly nodeName: string;
  /** Holds `ca.crt` and `token` of the service account. */
  readonly serviceAccount: string;
  /** Default: the entry point of the image. */
  readonly command?: string;
  /** More arguments for vipd. */
  readonly args?: readonly string[];
}

/** The specification of the pod's only container. */
async function specification(options: ContainerOptions): Promise<object> {
  const { bundle, pod: { container, volumes }, namespace, nodeName, serviceAccount } = options;
  const { securityContext } = container;
  assert.deepEqual(securityContext.capabilities.drop, ["ALL"]);
  assert.ok(!securityContext.privileged && securityContext.readOnlyRootFilesystem);
  const capabilities = securityContext.capabilities.add.map((name) => `CAP_${name}`);
  const args = container.args.map((arg) => arg.replace("$(NODE_NAME)", nodeName));
  const mounts = container.volumeMounts.map(async (mount) => {
    const volume = volumes.find(({ name }) => name === mount.name);
    return bind(await sourceOf(options, volume), mount.mountPath, mount);
  });
  return {
    ociVersion: "1.0.0",
    process: {
      args: [options.command ?? "/usr/sbin/vipd", ...args, ...options.args ?? []],
      env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", `NODE_NAME=${nodeName}`],
      cwd: "/",
      user: { uid: 0, gid: 0 },
      noNewPrivileges: !securityContext.allowPrivilegeEscalation,
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    },
    root: { path: `${bundle}/rootfs`, readonly: securityContext.readOnlyRootFilesystem },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
      bind("/sys", "/sys", { readOnly: true }),
      ...await Promise.all(mounts),
      bind(serviceAccount, SERVICE_ACCOUNT, { readOnly: true }),
    ],
    linux: {
      readonlyPaths: READ_ONLY_PATHS,
      maskedPaths: MASKED_PATHS,
      namespaces: [
        ...[{ type: "mount" }, { type: "pid" }, { type: "ipc" }],
        { type: "network", path: `/var/run/netns/${namespace}` },
      ],
    },
  };
}

function bind(
  source: string,
  destination: string,
  { readOnly = false }: { readonly readOnly?: boolean },
): object {
  return { destination, type: "bind", source, options: ["rbind", readOnly ? "ro" : "rw"] };
}

/** The ConfigMap as files, or a path of the node, which begins below the bundle. */
async function sourceOf(
  { bundle, pod }: ContainerOptions,
  volume: Volume | undefined,
): Promise<string> {
  const { path, type } = volume?.hostPath ?? {};
  const source = `${bundle}/node${path ?? "/config"}`;
  await Deno.mkdir(type === "FileOrCreate" ? dirname(source) : source, { recursive: true });
  if (type === "FileOrCreate") await Deno.writeTextFile(source, "");
  if (volume?.configMap === undefined) return source;
  for (const [name, text] of Object.entries(pod.config)) {
    await Deno.writeTextFile(`${source}/${name}`, text);
  }
  return source;
}

let started = 0;

/** A container that runs. Disposing ends it. */
export class Container implements AsyncDisposable {
  readonly #id = `vipd-test-${Deno.pid}-${started++}`;
  readonly #child: Deno.ChildProcess;
  readonly #directory: string;
  #hasEnded = false;

  private constructor(directory: string) {
    this.#directory = directory;
    const run = [...CRUN, "run", `--bundle=${directory}`, this.#id];
    const script = 'exec "$@" >"$0" 2>&1';
    this.#child = new Deno.Command("sh", {
      args: ["-c", script, `${directory}/log`, ...run],
      stdin: "null",
    }).spawn();
  }

  /** Starts one; it is not ready yet. */
  static async start(options: ContainerOptions): Promise<Container> {
    const directory = await Deno.makeTempDir({ dir: options.bundle, prefix: "container-" });
    const text = JSON.stringify(await specification(options));
    await Deno.writeTextFile(`${directory}/config.json`, text);
    await Deno.writeTextFile(`${directory}/log`, "");
    return new Container(directory);
  }

  /** What it has printed. */
  async log(): Promise<string> {
    return await Deno.readTextFile(`${this.#directory}/log`);
  }

  /** Waits for the end by itself. */
  async ended(): Promise<Pick<Result, "code"> & { readonly log: string }> {
    const { code } = await this.#child.status;
    this.#hasEnded = true;
    return { code, log: await this.log() };
  }

  /** Ends it as the kubelet does. Returns what it had to say. */
  async stop(): Promise<string> {
    await passes([...CRUN, "kill", this.#id, "TERM"]);
    const { code, log } = await this.ended();
    assert.equal(code, 0, log);
    return log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) await ended([...CRUN, "kill", this.#id, "KILL"]);
    await this.#child.status;
    await ended([...CRUN, "delete", "--force", this.#id]);
  }
}
