/**
 * The Debian package in a fresh Debian: refused without what it needs, installed by apt with it,
 * at work in a network namespace, removed and purged. Needs root, debootstrap, lintian, Debian's
 * mirror, and dist/vipd (`deno task build`), from which it makes the package.
 *
 *     deno test -A test/packaging/deb_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { packageDeb } from "../../scripts/package/deb.ts";
import { VIPD_VERSION } from "../../src/cli/version.ts";
import { ended, type Result } from "../support/process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const PACKAGE = `${ROOT}dist/vipd_${VIPD_VERSION}_amd64.deb`;
const SUITE = "bookworm";

/** Runs a script in the new root, in a network namespace when it is to program one. */
async function inside(
  root: string,
  script: string,
  { isOwnNetwork }: { isOwnNetwork: boolean } = { isOwnNetwork: false },
): Promise<Result> {
  const unshared = ["unshare", "--mount", "--pid", "--fork", ...(isOwnNetwork ? ["--net"] : [])];
  return await ended([
    ...unshared,
    "sh",
    "-c",
    `mount -t proc proc ${root}/proc && exec chroot ${root} sh -e`,
  ], {
    stdin: script,
    timeoutMs: 300_000,
    env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
  });
}

async function passes(result: Promise<Result>): Promise<string> {
  const { code, stdout, stderr } = await result;
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  return stdout;
}

Deno.test.beforeAll(async () => {
  await packageDeb("x64");
});

Deno.test("lintian has nothing against the package", async () => {
  const { stdout } = await ended(["lintian", "--fail-on", "none", PACKAGE], { timeoutMs: 180_000 });
  assert.equal(stdout, "");
});

/** The package as a later version, with another configuration file in it. */
async function laterVersion(directory: string): Promise<void> {
  const tree = `${directory}/tree`;
  await passes(ended(["dpkg-deb", "--raw-extract", PACKAGE, tree]));
  const control = await Deno.readTextFile(`${tree}/DEBIAN/control`);
  await Deno.writeTextFile(`${tree}/DEBIAN/control`, control.replace(VIPD_VERSION, "9.9.9"));
  await Deno.writeTextFile(`${tree}/etc/vipd/config.conf`, "# theirs\n");
  await passes(ended(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, directory]));
  await Deno.rename(`${directory}/vipd_9.9.9_amd64.deb`, `${directory}/later.deb`);
  await Deno.remove(tree, { recursive: true });
}

Deno.test("the package is installed, works and goes away in a fresh Debian", async (t) => {
  const root = await Deno.makeTempDir({ prefix: "vipd-debian-" });
  try {
    await Deno.chmod(root, 0o755);
    await passes(ended(["debootstrap", "--variant=minbase", SUITE, root], { timeoutMs: 600_000 }));
    await Deno.copyFile(PACKAGE, `${root}/vipd.deb`);
    await t.step("dpkg alone refuses it and says what is missing", async () => {
      const { code, stderr } = await inside(root, "dpkg --install /vipd.deb");
      assert.notEqual(code, 0);
      for (const name of ["iptables", "ipset", "nftables", "libnl-3-200", "kmod"]) {
        assert.match(stderr, new RegExp(`depends on ${name}`));
      }
      await passes(inside(root, "dpkg --purge --force-all vipd"));
    });
    await t.step("apt installs it with what it needs, and nothing is started", async () => {
      await Deno.copyFile("/etc/resolv.conf", `${root}/etc/resolv.conf`);
      await passes(
        inside(
          root,
          "apt-get update -q && apt-get install -q -y --no-install-recommends /vipd.deb",
        ),
      );
      const status = "dpkg-query --show --showformat='${db:Status-Status}' vipd";
      assert.equal(await passes(inside(root, status)), "installed");
      assert.equal(await passes(inside(root, "vipd --version")), "Kubernetes v1.36.2\n");
    });
    await t.step("it writes rules and leaves them when it ends", async () => {
      await ended(["cp", "-r", `${ROOT}examples`, `${root}/examples`]);
      const script =
        `vipd --manifests=/examples --hostname-override=node-a --cluster-cidr=10.244.0.0/16 \
        --conntrack-max-per-core=0 --healthz-bind-address=127.0.0.1:10256 -v=2 2>/tmp/log &
        for i in $(seq 100); do grep -q Ready: /tmp/log && break; sleep 0.1; done
        kill $!; wait $! || { cat /tmp/log; exit 1; }; iptables-save -t nat`;
      assert.match(await passes(inside(root, script, { isOwnNetwork: true })), /KUBE-SVC-/);
    });
    await t.step("a change of the configuration survives an upgrade", async () => {
      await passes(inside(root, "echo '# mine' >>/etc/vipd/config.conf"));
      await laterVersion(root);
      await passes(inside(root, "dpkg --force-confdef --force-confold --install /later.deb"));
      assert.match(await passes(inside(root, "cat /etc/vipd/config.conf")), /# mine/);
      const version = "dpkg-query --show --showformat='${Version}' vipd";
      assert.equal(await passes(inside(root, version)), "9.9.9");
      assert.equal(await passes(inside(root, "vipd --version")), "Kubernetes v1.36.2\n");
    });
    await t.step("a change of the configuration survives removal, not purging", async () => {
      await passes(inside(root, "dpkg --remove vipd"));
      assert.match(await passes(inside(root, "cat /etc/vipd/config.conf")), /# mine/);
      await passes(inside(root, "dpkg --purge vipd; test ! -e /etc/vipd/config.conf"));
      await passes(inside(root, "test ! -e /usr/sbin/vipd"));
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
