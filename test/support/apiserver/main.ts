/**
 * The embedded API server as a process of its own:
 *
 *     deno run -A test/support/apiserver/main.ts --listen 192.168.77.1:6443 --dir DIR \
 *         [--manifests FILE|DIR]... [--seed FILE]... [--name HOST]... [--no-validate]
 *
 * Writes certificates, tokens and kubeconfig files into DIR (files.ts), loads the manifests as a
 * user would create them (`--seed`: exactly as given), prints one line `ready URL` and serves until
 * SIGTERM or SIGINT.
 *
 * @module
 */

import process from "node:process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { loadManifests } from "./manifests.ts";
import { startApiServer } from "./server.ts";

const USAGE = "usage: main.ts --dir DIR [--listen HOST:PORT] [--name HOST]... " +
  "[--manifests FILE|DIR]... [--seed FILE|DIR]... [--bookmark-ms N] [--no-validate] [--no-watchlist]";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      dir: { type: "string" },
      listen: { type: "string", default: "127.0.0.1:0" },
      name: { type: "string", multiple: true, default: [] },
      manifests: { type: "string", multiple: true, default: [] },
      seed: { type: "string", multiple: true, default: [] },
      "bookmark-ms": { type: "string", default: "60000" },
      "no-validate": { type: "boolean", default: false },
      "no-watchlist": { type: "boolean", default: false },
    },
  });
  if (values.dir === undefined) throw new TypeError(USAGE);
  const [, host = "", port = ""] = /^\[?(.*?)\]?:(\d+)$/.exec(values.listen) ?? [];
  await using server = await startApiServer({
    host,
    port: Number(port),
    alternativeNames: values.name,
    validate: !values["no-validate"],
    watchList: !values["no-watchlist"],
    bookmarkIntervalMs: Number(values["bookmark-ms"]),
  });
  for (const path of values.seed) server.seed(...await loadManifests(path));
  for (const path of values.manifests) server.apply(...await loadManifests(path));
  await server.writeFiles(values.dir);
  process.stdout.write(`ready ${server.url}\n`);
  await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
}

if (import.meta.main) {
  try {
    await main();
    process.exit(0);
  } catch (error) {
    process.stderr.write(`apiserver: ${error instanceof Error ? error.message : error}\n`);
    process.exit(1);
  }
}
