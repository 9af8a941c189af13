/**
 * `deno task package:deb [--machine x64|arm64]`: dist/vipd_VERSION_ARCH.deb from dist/vipd, by
 * dpkg-deb. What is in it follows Debian Policy: unit, conffiles, manual page, changelog, copyright.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { defaultsText, FIRST_CONFIG, unitText } from "../../src/cli/unit.ts";
import { VIPD_VERSION } from "../../src/cli/version.ts";
import type { Machine } from "../build/launcher.ts";
import { type Component, componentsOf } from "../release/components.ts";
import { licencesOf } from "../release/licences.ts";
import { manualPage } from "./manual.ts";

const ARCHITECTURES: Readonly<Record<Machine, string>> = { x64: "amd64", arm64: "arm64" };
/** The maintainer scripts, as files of packaging/debian. */
const SCRIPTS = ["postinst", "prerm", "postrm"];
/** Files get the time of the last commit, so that a build can be repeated. */
const FALLBACK_TIME = "0";

interface File {
  readonly path: string;
  readonly content: string | Uint8Array<ArrayBuffer>;
  readonly mode: number;
}

/** The fields of the package. `installedKb` is what it takes on disk. */
export function controlText(architecture: string, installedKb: number): string {
  return `Package: vipd
Version: ${VIPD_VERSION}
Architecture: ${architecture}
Maintainer: vipd maintainers <maintainers@vipd.invalid>
Installed-Size: ${installedKb}
Depends: iptables, ipset, nftables, libnl-3-200, libnl-genl-3-200, kmod, libc6 (>= 2.31), libgcc-s1
Suggests: conntrack
Section: net
Priority: optional
Description: Service networking of a Kubernetes node
 vipd makes Services of Kubernetes answer on this node, in place of kube-proxy:
 it reads the same configuration and writes the same rules for iptables,
 nftables or IPVS.
`;
}

interface Content {
  readonly executable: Uint8Array<ArrayBuffer>;
  /** Of the last commit, in seconds since 1970. */
  readonly time: string;
  /** Of the parts of the executable, in full. */
  readonly licences: string;
}

function files({ executable, time, licences }: Content): readonly File[] {
  const date = new Date(Number(time) * 1000).toUTCString().replace("GMT", "+0000");
  const changelog = `vipd (${VIPD_VERSION}) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n` +
    ` -- vipd maintainers <maintainers@vipd.invalid>  ${date}\n`;
  const text = (path: string, content: string): File => ({ path, content, mode: 0o644 });
  const packed = (path: string, content: string): File => ({
    path,
    content: Uint8Array.from(gzipSync(content, { level: 9 })),
    mode: 0o644,
  });
  return [
    { path: "usr/sbin/vipd", content: executable, mode: 0o755 },
    text("lib/systemd/system/vipd.service", unitText("/usr/sbin/vipd")),
    text("etc/vipd/config.conf", FIRST_CONFIG),
    text("etc/default/vipd", defaultsText(["--config=/etc/vipd/config.conf"])),
    packed("usr/share/man/man8/vipd.8.gz", manualPage()),
    packed("usr/share/doc/vipd/changelog.gz", changelog),
    text("usr/share/doc/vipd/copyright", copyrightText(licences)),
    text("usr/share/lintian/overrides/vipd", OVERRIDES),
  ];
}

/** Debian has the text of this licence; a package names the place. */
function withoutCommonText(component: Component): Component {
  const { license, texts } = component;
  if (license !== "Apache-2.0") return component;
  const others = texts.filter((text) => !/Apache License\s+Version 2\.0/.test(text));
  return { ...component, texts: ["/usr/share/common-licenses/Apache-2.0", ...others] };
}

/** Machine-readable: lines of a field begin with a blank, empty ones with a dot behind it. */
function copyrightText(licences: string): string {
  const comment = licences.trim().split("\n").map((line) => line === "" ? " ." : ` ${line}`);
  return `${COPYRIGHT}Comment:\n${comment.join("\n")}\n`;
}

const COPYRIGHT = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: vipd

Files: *
Copyright: 2026 the vipd authors
License: Apache-2.0
 On Debian systems, the full text of the Apache License, Version 2.0 can be found in the file
 /usr/share/common-licenses/Apache-2.0.
`;

const OVERRIDES =
  `# The program is a runtime with the program of vipd behind it: stripping would cut that off.
vipd: unstripped-binary-or-object [usr/sbin/vipd]
vipd: embedded-library *
vipd: hardening-no-fortify-functions [usr/sbin/vipd]
vipd: hardening-no-relro [usr/sbin/vipd]
# No debhelper: systemctl is called only where systemd runs.
vipd: maintainer-script-calls-systemctl *
`;

/** Builds the package in `directory`; returns the path of the file. */
export async function packageDeb(machine: Machine, directory = "dist"): Promise<string> {
  const isOwn = (machine === "arm64") === (Deno.build.arch === "aarch64");
  const program = isOwn ? "dist/vipd" : `dist/vipd-${machine}`;
  const executable = await Deno.readFile(program);
  const licences = await licencesOf((await componentsOf(program)).map(withoutCommonText));
  const time = (await output(["git", "log", "-1", "--format=%ct"]))?.trim() ?? FALLBACK_TIME;
  const root = await Deno.makeTempDir({ prefix: "vipd-deb-" });
  try {
    await Deno.chmod(root, 0o755);
    for (const file of files({ executable, time, licences })) await put(root, file);
    const control = controlText(ARCHITECTURES[machine], Math.ceil(executable.length / 1024) + 40);
    await put(root, { path: "DEBIAN/control", content: control, mode: 0o644 });
    const conffiles = "/etc/vipd/config.conf\n/etc/default/vipd\n";
    await put(root, { path: "DEBIAN/conffiles", content: conffiles, mode: 0o644 });
    for (const name of SCRIPTS) {
      const content = await Deno.readTextFile(`packaging/debian/${name}`);
      await put(root, { path: `DEBIAN/${name}`, content, mode: 0o755 });
    }
    const target = `${directory}/vipd_${VIPD_VERSION}_${ARCHITECTURES[machine]}.deb`;
    const built = await output(
      ["dpkg-deb", "--root-owner-group", "-Zxz", "-z6", "--build", root, target],
      { SOURCE_DATE_EPOCH: time },
    );
    if (built === undefined) throw new Error(`Cannot build ${target}`);
    return target;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function put(root: string, { path, content, mode }: File): Promise<void> {
  const parts = path.split("/").slice(0, -1);
  for (const [i] of parts.entries()) {
    const directory = `${root}/${parts.slice(0, i + 1).join("/")}`;
    await Deno.mkdir(directory, { recursive: true });
    await Deno.chmod(directory, 0o755);
  }
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await Deno.writeFile(`${root}/${path}`, bytes);
  await Deno.chmod(`${root}/${path}`, mode);
}

async function output(
  [command = "", ...args]: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  const { success, stdout } = await new Deno.Command(command, {
    args,
    env: { ...env },
    stderr: "inherit",
  }).output();
  return success ? new TextDecoder().decode(stdout) : undefined;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: [...Deno.args],
    options: { machine: { type: "string", default: "x64" } },
  });
  const machine = values.machine === "arm64" ? "arm64" : "x64";
  const target = await packageDeb(machine);
  const { size } = await Deno.stat(target);
  const text = `${target}: ${(size / 1e6).toFixed(1)} MB\n`;
  await Deno.stdout.write(new TextEncoder().encode(text));
}
