/**
 * The embedded API server against the real one: what kube-apiserver 1.36.2 made of the objects of
 * the conformance cases (defaults, families, allocation, effects of patches) is what ours makes.
 *
 * @module
 */

import { deepStrictEqual, equal } from "node:assert/strict";
import { parse } from "yaml";
import { startApiServer } from "../support/apiserver/mod.ts";
import { ApiClient } from "../support/apiserver/client.ts";
import {
  decodeObject,
  type Json,
  type JsonObject,
  objectAt,
  objectsAt,
  textAt,
} from "../support/apiserver/json.ts";
import { resourceOfKind } from "../support/apiserver/resources.ts";

const CASES = new URL("../conformance/cases/", import.meta.url);

/** What differs between any two clusters. */
const VOLATILE = ["uid", "resourceVersion", "creationTimestamp"];

for (
  const { name: title } of [...Deno.readDirSync(CASES)].sort((a, b) => a.name < b.name ? -1 : 1)
) {
  Deno.test(`apiserver: makes of the objects of "${title}" what kube-apiserver did`, async () => {
    const steps = objectsAt(await readYaml(`${title}/case.yaml`), "steps");
    await using server = await startApiServer({});
    using client = new ApiClient(server.url, {
      ca: server.credentials.ca,
      token: server.credentials.admin.token,
    });
    const first = objectsAt(await readJson(`${title}/00.json`), "items");
    const written = new Set(steps.flatMap((step) => objectsAt(step, "apply")).map(idOf));
    // The nodes were written by the harness, and are not in the case.
    server.seed(
      ...first.filter((object) => object["kind"] === "Node" && !written.has(idOf(object))),
    );
    for (const [i, step] of steps.entries()) {
      for (const object of objectsAt(step, "delete")) server.delete(referenceOf(object));
      for (const object of objectsAt(step, "apply")) server.apply(object);
      for (const patch of objectsAt(step, "patch")) await sendPatch(client, patch);
      const expected = i === 0
        ? first
        : objectsAt(await readJson(`${title}/${String(i).padStart(2, "0")}.json`), "apply");
      for (const object of expected) {
        if (textAt(object, "metadata.name") === "kubernetes") continue;
        const found = server.get(referenceOf(object));
        if (found === undefined) equal("nothing", idOf(object));
        else deepStrictEqual(comparable(found, object), comparable(object, object));
      }
    }
  });
}

async function sendPatch(client: ApiClient, patch: JsonObject): Promise<void> {
  const { apiVersion, kind, namespace = "", name } = patch;
  const resource = resourceOfKind(String(apiVersion ?? "v1"), String(kind));
  const group = resource?.group ? `/apis/${resource.group}/v1` : "/api/v1";
  const where = namespace === "" ? "" : `/namespaces/${namespace}`;
  const { status, ...rest } = objectAt(patch, "patch");
  const path = `${group}${where}/${resource?.plural}/${name}`;
  const contentType = "application/merge-patch+json";
  if (Object.keys(rest).length > 0) await client.call("PATCH", { path, contentType, body: rest });
  if (status === undefined) return;
  await client.call("PATCH", { path: `${path}/status`, contentType, body: { status } });
}

async function readYaml(path: string): Promise<JsonObject> {
  return decodeObject(parse(await Deno.readTextFile(new URL(path, CASES)), { merge: true }));
}

async function readJson(path: string): Promise<JsonObject> {
  return decodeObject(JSON.parse(await Deno.readTextFile(new URL(path, CASES))));
}

function idOf(object: JsonObject): string {
  const { namespace = "default", name } = objectAt(object, "metadata");
  return `${object["kind"]} ${namespace}/${name}`;
}

function referenceOf(object: JsonObject) {
  const meta = objectAt(object, "metadata");
  const namespace = textAt(object, "namespace") || textAt(meta, "namespace");
  return {
    apiVersion: textAt(object, "apiVersion"),
    kind: textAt(object, "kind"),
    name: textAt(object, "name") || textAt(meta, "name"),
    ...(namespace && { namespace }),
  };
}

/** Without what differs by chance; node ports that were allocated become a word. */
function comparable(object: JsonObject, captured: JsonObject): Json {
  const metadata = { ...objectAt(object, "metadata") };
  for (const field of VOLATILE) delete metadata[field];
  const copy = decodeObject({ ...object, metadata });
  const original = objectsAt(captured, "spec.ports");
  for (const [i, port] of objectsAt(copy, "spec.ports").entries()) {
    if (Number(original[i]?.["nodePort"]) > 0) port["nodePort"] = "some";
  }
  const spec = objectAt(copy, "spec");
  if (spec["healthCheckNodePort"] !== undefined) spec["healthCheckNodePort"] = "some";
  return copy;
}
