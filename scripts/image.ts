/**
 * `deno task image`: dist/image, an OCI image layout, and dist/image.tar of it, from Debian's
 * packages and dist/vipd; no container engine and no shell in it. Both kinds of iptables are in it
 * and none is called `iptables`: a node's rules must be in one of them, and vipd finds out which
 * (src/kernel/iptables/variant.ts). Containerfile makes the same files.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { VIPD_VERSION } from "../src/cli/version.ts";
import { componentsOf } from "./release/components.ts";
import { licencesOf } from "./release/licences.ts";

const PACKAGES = ["iptables", "ipset", "nftables", "libnl-3-200", "libnl-genl-3-200", "kmod"];
const RUNTIME = ["libc6", "libgcc-s1"];
/** Packages that only serve installation, with maintainer scripts that never run here. */
const LEFT_OUT = /^(debconf|dpkg|perl.*|netbase|debianutils|install-info)$/;
const PRUNED = ["etc/cron.d", "var", "usr/lib/systemd", "lib/systemd"];
/** All of usr/share but the licences; Debian's name the common ones by path. */
const PRUNE_SHARE = [
  "find usr/share -type f ! -path 'usr/share/doc/*/copyright' -delete",
  "find usr/share -type l ! -regex 'usr/share/doc/[^/]*' -delete",
  "find usr/share -mindepth 1 -type d -empty -delete",
  "cp -r /usr/share/common-licenses usr/share/",
].join(" && ");

/** Fills an empty directory with the root of the image. */
export async function makeRoot(root: string): Promise<void> {
  const downloads = await Deno.makeTempDir({ prefix: "vipd-image-" });
  try {
    await Deno.chmod(downloads, 0o777);
    await sh("apt-get", ["-q", "download", ...await closure()], { cwd: downloads });
    for await (const { name } of Deno.readDir(downloads)) {
      await sh("dpkg-deb", ["--extract", `${downloads}/${name}`, root]);
    }
  } finally {
    await Deno.remove(downloads, { recursive: true });
  }
  for (const path of PRUNED) await sh("rm", ["-rf", `${root}/${path}`]);
  await sh("sh", ["-ec", PRUNE_SHARE], { cwd: root });
  for (const path of ["proc", "sys", "dev", "run", "tmp", "etc/vipd", "var/lib"]) {
    await Deno.mkdir(`${root}/${path}`, { recursive: true });
  }
  // Where kubeadm's DaemonSet looks for its command.
  await Deno.mkdir(`${root}/usr/local/bin`, { recursive: true });
  await Deno.symlink("../../sbin/vipd", `${root}/usr/local/bin/kube-proxy`);
  await Deno.copyFile("dist/vipd", `${root}/usr/sbin/vipd`);
  await Deno.chmod(`${root}/usr/sbin/vipd`, 0o755);
  await Deno.mkdir(`${root}/usr/share/doc/vipd`);
  const licences = await licencesOf(await componentsOf("dist/vipd"));
  await Deno.writeTextFile(`${root}/usr/share/doc/vipd/copyright`, licences);
  await Deno.chmod(root, 0o755);
  await sh("ldconfig", ["-r", root]);
}

/** Names of all packages that are needed. */
async function closure(): Promise<readonly string[]> {
  const no = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"];
  const args = ["depends", "--recurse", ...no.map((kind) => `--no-${kind}`)];
  const text = await sh("apt-cache", [...args, ...PACKAGES, ...RUNTIME]);
  const names = text.split("\n").filter((line) => /^[a-z0-9][a-z0-9.+-]*$/.test(line));
  return [...new Set(names)].filter((name) => !LEFT_OUT.test(name)).sort();
}

/** Writes the layout. Returns the size of the packed layer in bytes. */
async function writeLayout(root: string, layout: string): Promise<number> {
  const tar = [
    "--sort=name",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mtime=@0",
    "--format=gnu",
  ];
  const file = `${layout}.layer`;
  await sh("tar", [...tar, "-cf", file, "-C", root, "."]);
  const plain = await Deno.readFile(file);
  await Deno.remove(file);
  const blobs = `${layout}/blobs/sha256`;
  await Deno.mkdir(blobs, { recursive: true });
  const put = async (mediaType: string, bytes: Uint8Array) => {
    const digest = sha256(bytes);
    await Deno.writeFile(`${blobs}/${digest}`, bytes);
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
  };
  const json = (value: object) => new TextEncoder().encode(JSON.stringify(value));
  const type = "application/vnd.oci.image";
  const layer = await put(`${type}.layer.v1.tar+gzip`, gzipSync(plain, { level: 6 }));
  const config = await put(`${type}.config.v1+json`, json(configOf(sha256(plain))));
  const manifest = { schemaVersion: 2, mediaType: `${type}.manifest.v1+json`, config };
  const described = await put(manifest.mediaType, json({ ...manifest, layers: [layer] }));
  const annotations = { "org.opencontainers.image.ref.name": VIPD_VERSION };
  const index = { schemaVersion: 2, manifests: [{ ...described, annotations }] };
  await Deno.writeFile(`${layout}/index.json`, json(index));
  await Deno.writeFile(`${layout}/oci-layout`, json({ imageLayoutVersion: "1.0.0" }));
  return layer.size;
}

function configOf(diffId: string): object {
  return {
    architecture: "amd64",
    os: "linux",
    config: {
      Entrypoint: ["/usr/sbin/vipd"],
      Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
      Labels: { "org.opencontainers.image.version": VIPD_VERSION },
    },
    rootfs: { type: "layers", diff_ids: [`sha256:${diffId}`] },
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function sh(
  command: string,
  args: readonly string[],
  { cwd = "." }: { cwd?: string } = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], cwd })
    .output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  throw new Error(`Cannot run "${command}": ${decoder.decode(stderr)}`);
}

if (import.meta.main) {
  const root = await Deno.makeTempDir({ prefix: "vipd-root-" });
  try {
    await makeRoot(root);
    await sh("rm", ["-rf", "dist/image"]);
    const size = await writeLayout(root, "dist/image");
    await sh("tar", ["-cf", "dist/image.tar", "-C", "dist/image", "."]);
    const text = `dist/image.tar: layer of ${(size / 1e6).toFixed(1)} MB packed\n`;
    await Deno.stdout.write(new TextEncoder().encode(text));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}
