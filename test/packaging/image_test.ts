/**
 * The container image, run by crun in a network namespace: read-only root, capabilities instead of
 * privileges, no shell. Needs root, crun, and dist/vipd (`deno task build`),
 * from which it makes the image.
 *
 *     deno test -A test/packaging/image_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { openNetwork } from "../support/netns.ts";
import { ended } from "../support/process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const CAPABILITIES = ["CAP_NET_ADMIN", "CAP_NET_RAW"];
const FLAGS = [
  ...["--manifests=/examples", "--hostname-override=node-a", "--cluster-cidr=10.244.0.0/16"],
  ...["--conntrack-max-per-core=0", "--iptables-localhost-nodeports=false", "-v=2"],
];

/** crun refuses machines that mix both versions of control groups: it is shown one. */
const CRUN = [
  ...["unshare", "--mount", "sh", "-c"],
  'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec crun --cgroup-manager=disabled "$@"',
  "crun",
];

async function passes(command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ended(command);
  assert.equal(code, 0, `${command.join(" ")}: ${stderr}`);
  return stdout;
}

/** Unpacks the only layer, as an engine does. */
async function unpack(bundle: string): Promise<void> {
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
  await Deno.mkdir(`${bundle}/rootfs/examples`);
}

function specification(namespace: string): object {
  const mount = (destination: string, type: string) => (
    { destination, type, source: type, options: [] }
  );
  return {
    ociVersion: "1.0.0",
    process: {
      args: ["/usr/sbin/vipd", ...FLAGS],
      env: ["PATH=/usr/sbin:/usr/bin"],
      cwd: "/",
      user: { uid: 0, gid: 0 },
      noNewPrivileges: true,
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
    },
    root: { path: "rootfs", readonly: true },
    mounts: [
      mount("/proc", "proc"),
      mount("/dev", "tmpfs"),
      mount("/run", "tmpfs"),
      {
        destination: "/examples",
        type: "bind",
        source: `${ROOT}examples`,
        options: ["bind", "ro"],
      },
    ],
    linux: {
      namespaces: [
        ...[{ type: "mount" }, { type: "pid" }, { type: "ipc" }],
        { type: "network", path: `/var/run/netns/${namespace}` },
      ],
    },
  };
}

Deno.test.beforeAll(async () => {
  const image = [Deno.execPath(), "run", "-A", "scripts/image.ts"];
  const { code, stderr } = await ended(image, { cwd: ROOT, timeoutMs: 180_000 });
  assert.equal(code, 0, stderr);
});

Deno.test("the image has no shell", async () => {
  const bundle = await Deno.makeTempDir({ prefix: "vipd-bundle-" });
  try {
    await unpack(bundle);
    const shells = await passes(["find", `${bundle}/rootfs`, "-name", "*sh", "-path", "*bin/*"]);
    assert.equal(shells, "");
  } finally {
    await Deno.remove(bundle, { recursive: true });
  }
});

Deno.test("the image programs a node without privileges and with a read-only root", async () => {
  const bundle = await Deno.makeTempDir({ prefix: "vipd-bundle-" });
  const id = `vipd-test-${Deno.pid}`;
  await using network = await openNetwork({ tag: "vimg", namespaces: ["node"] });
  try {
    await unpack(bundle);
    const config = JSON.stringify(specification(network.name("node")));
    await Deno.writeTextFile(`${bundle}/config.json`, config);
    const log = await Deno.open(`${bundle}/log`, { create: true, write: true });
    log.close();
    const script = 'exec "$@" >"$0" 2>&1';
    const child = new Deno.Command("sh", {
      args: ["-c", script, `${bundle}/log`, ...CRUN, "run", `--bundle=${bundle}`, id],
      stdin: "null",
    }).spawn();
    try {
      await network.sh("node", POLL).catch(async (cause) => {
        throw new Error(await Deno.readTextFile(`${bundle}/log`), { cause });
      });
      assert.match(await network.run("node", ["iptables-save", "-t", "nat"]), /KUBE-SVC-/);
    } finally {
      await ended([...CRUN, "kill", id, "TERM"]);
      await child.status;
      await ended([...CRUN, "delete", "--force", id]);
    }
    assert.match(await Deno.readTextFile(`${bundle}/log`), /Stopped, rules stay in place/);
  } finally {
    await Deno.remove(bundle, { recursive: true });
  }
});

/** Until /readyz says 200, 10 s at most. */
const POLL = `for i in $(seq 200); do
  [ "$(curl -so /dev/null -w '%{http_code}' http://127.0.0.1:10256/readyz)" = 200 ] && exit 0
  sleep 0.05
done
exit 1`;
