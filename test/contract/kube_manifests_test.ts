/**
 * Manifests on a real file system: directories that change, files that break, and swaps as
 * ConfigMap volumes make them.
 *
 * @module
 */

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { type ManifestSource, startManifestSource } from "../../src/kube/manifests.ts";
import { Store } from "../../src/kube/store.ts";
import { type Logger, SILENT } from "../../src/log.ts";

const PATIENCE_MS = 8_000;

function service(name: string, clusterIP = "172.30.0.1"): string {
  return `---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ns}
spec: {clusterIP: ${clusterIP}, ports: [{port: 80}]}
`;
}

const NODE = `---
apiVersion: v1
kind: Node
metadata: {name: here}
status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}
`;

/** A directory of manifests and a store that follows it. */
class Setting implements AsyncDisposable {
  readonly store = new Store();
  readonly lines: string[] = [];
  readonly #ended = new AbortController();
  #done: Promise<void> = Promise.resolve();

  private constructor(readonly directory: string) {}

  static async start(files: Readonly<Record<string, string>>): Promise<Setting> {
    const setting = new Setting(await Deno.makeTempDir({ prefix: "vipd-manifests-" }));
    for (const [name, text] of Object.entries(files)) await setting.write(name, text);
    return setting;
  }

  path(name: string): string {
    return `${this.directory}/${name}`;
  }

  write(name: string, text: string): Promise<void> {
    return Deno.writeTextFile(this.path(name), text);
  }

  /** As editors and configuration tools do it. */
  async replace(name: string, text: string): Promise<void> {
    await this.write(`${name}.tmp`, text);
    await Deno.rename(this.path(`${name}.tmp`), this.path(name));
  }

  async follow(name = ""): Promise<ManifestSource> {
    const say = (message: string, fields?: object) => {
      this.lines.push(`${message} ${Object.values(fields ?? {}).map(String).join(" ")}`);
    };
    const log: Logger = { ...SILENT, error: say, warn: say };
    const source = await startManifestSource({
      path: this.path(name),
      store: this.store,
      nodeName: "here",
      log,
      signal: this.#ended.signal,
    });
    this.#done = source.done;
    return source;
  }

  names(): readonly string[] {
    return [...this.store.services.keys()].sort();
  }

  async until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!condition()) {
      const message = `still not: ${condition}\n${this.names()}\n${this.lines.join("\n")}`;
      if (performance.now() > deadline) throw new Error(message);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#done;
    await Deno.remove(this.directory, { recursive: true });
  }
}

Deno.test("manifests: a directory is read and followed", async () => {
  await using setting = await Setting.start({
    "a.yaml": service("a") + service("b", "172.30.0.2"),
    "b.json": '{"apiVersion":"v1","kind":"List","items":[]}',
    "c.txt": service("text"),
    ".hidden.yaml": service("hidden"),
  });
  await setting.follow();
  ok(setting.store.hasSynced());
  deepStrictEqual(setting.names(), ["ns/a", "ns/b"]);
  const a = setting.store.services.get("ns/a");
  await setting.write("d.yml", service("d", "172.30.0.4"));
  await setting.until(() => setting.store.services.has("ns/d"));
  await setting.replace("a.yaml", service("a"));
  await setting.until(() => !setting.store.services.has("ns/b"));
  strictEqual(setting.store.services.get("ns/a"), a, "an unchanged object stays the same");
  await Deno.remove(setting.path("d.yml"));
  await setting.until(() => !setting.store.services.has("ns/d"));
  deepStrictEqual(setting.lines, []);
});

Deno.test("manifests: a broken file keeps what it last had, and others go on", async () => {
  await using setting = await Setting.start({ "a.yaml": service("a"), "b.yaml": service("b") });
  await setting.follow();
  await setting.replace("a.yaml", `${service("a")}---\nx: [y\n`);
  await setting.until(() => setting.lines.length === 1);
  ok(setting.lines[0]?.includes("a.yaml line 8: "), setting.lines[0] ?? "no line");
  await setting.replace("b.yaml", service("c"));
  await setting.until(() => setting.store.services.has("ns/c"));
  deepStrictEqual(setting.names(), ["ns/a", "ns/c"]);
  strictEqual(setting.lines.length, 1, "said once");
  await setting.replace("a.yaml", service("d"));
  await setting.until(() => setting.store.services.has("ns/d"));
  deepStrictEqual(setting.names(), ["ns/c", "ns/d"]);
});

Deno.test("manifests: a file broken from the start does not hold up the others", async () => {
  await using setting = await Setting.start({ "a.yaml": "{", "b.yaml": service("b") });
  await setting.follow();
  deepStrictEqual(setting.names(), ["ns/b"]);
  strictEqual(setting.lines.length, 1);
  await setting.replace("a.yaml", service("a"));
  await setting.until(() => setting.store.services.has("ns/a"));
});

Deno.test("manifests: one file is followed through renames", async () => {
  await using setting = await Setting.start({
    "only.yaml": service("a"),
    "other.yaml": service("x"),
  });
  await setting.follow("only.yaml");
  deepStrictEqual(setting.names(), ["ns/a"]);
  for (const name of ["b", "c", "d"]) {
    await setting.replace("only.yaml", service(name));
    await setting.until(() => setting.store.services.has(`ns/${name}`));
  }
  await Deno.remove(setting.path("only.yaml"));
  await setting.until(() => setting.lines.length === 1);
  deepStrictEqual(setting.names(), ["ns/d"], "a file that is being replaced is not the end");
  await setting.write("only.yaml", service("e"));
  await setting.until(() => setting.store.services.has("ns/e"));
});

Deno.test("manifests: the swap of a ConfigMap volume is seen", async () => {
  await using setting = await Setting.start({});
  await Deno.mkdir(setting.path("..1"));
  await setting.write("..1/a.yaml", service("a"));
  await Deno.symlink("..1", setting.path("..data"));
  await Deno.symlink("..data/a.yaml", setting.path("a.yaml"));
  await setting.follow();
  deepStrictEqual(setting.names(), ["ns/a"]);
  await Deno.mkdir(setting.path("..2"));
  await setting.write("..2/a.yaml", service("b"));
  await Deno.symlink("..2", setting.path("..data_tmp"));
  await Deno.rename(setting.path("..data_tmp"), setting.path("..data"));
  await Deno.remove(setting.path("..1"), { recursive: true });
  await setting.until(() => setting.store.services.has("ns/b"));
  deepStrictEqual(setting.names(), ["ns/b"]);
});

Deno.test("manifests: of an object in two files the first counts, and that is said", async () => {
  await using setting = await Setting.start({
    "a.yaml": service("web"),
    "b.yaml": service("web", "172.30.0.9"),
  });
  await setting.follow();
  deepStrictEqual(setting.store.services.get("ns/web")?.clusterIps, ["172.30.0.1"]);
  ok(setting.lines[0]?.includes("b.yaml Service ns/web"), setting.lines[0] ?? "no line");
});

Deno.test("manifests: an object that cannot be used is named with its file", async () => {
  await using setting = await Setting.start({
    "a.yaml": service("bad", "300.0.0.1") + service("b"),
  });
  await setting.follow();
  deepStrictEqual(setting.names(), ["ns/b"]);
  const [line = ""] = setting.lines;
  ok(
    line.includes("Service ns/bad") && line.includes("300.0.0.1") && line.includes("a.yaml"),
    line,
  );
});

Deno.test("manifests: nobody waits for a Node that is not there, but it may still come", async () => {
  await using setting = await Setting.start({ "a.yaml": service("a") });
  await setting.follow();
  strictEqual(await setting.store.whenNode(AbortSignal.timeout(PATIENCE_MS)), undefined);
  await setting.write("node.yaml", NODE);
  await setting.until(() => setting.store.node !== undefined);
  deepStrictEqual(setting.store.node?.addresses, ["192.168.0.2"]);
});

Deno.test("manifests: a path that is not there, or an only file that is broken, is refused", async () => {
  await using setting = await Setting.start({ "a.yaml": "x: [y\n" });
  await rejects(setting.follow("b.yaml"), {
    name: "ConfigError",
    message: /--manifests: .*b\.yaml/,
  });
  await rejects(setting.follow("a.yaml"), { name: "ConfigError", message: /a\.yaml.*line 2: / });
});

Deno.test("an object without a name is told by its kind", async () => {
  await using setting = await Setting.start({
    "a.yaml": "apiVersion: v1\nkind: Service\nmetadata: {namespace: ns}\n",
  });
  await setting.follow();
  const [line = "nothing was said", ...others] = setting.lines;
  deepStrictEqual(others, []);
  ok(line.includes("Service ns/"), line);
  ok(!line.includes("undefined"), line);
});
