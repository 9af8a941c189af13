/**
 * The manifests of deploy/ against the types of Kubernetes: no field that the API does not know, and
 * none of another kind. Needs no cluster.
 *
 *     deno test -A test/packaging/deploy_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import * as api from "@kubernetes/client-node";
import { parse, parseAllDocuments } from "yaml";

const DEPLOY = new URL("../../deploy/", import.meta.url);

/** A field as the models of the API describe it. */
interface Attribute {
  readonly baseName: string;
  readonly type: string;
}

const SCALARS: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  boolean: (value) => typeof value === "boolean",
  Date: (value) => typeof value === "string",
  IntOrString: (value) => typeof value === "string" || Number.isInteger(value),
  any: () => true,
};

/** What is wrong with a value of a type such as `Array<V1Container>`, one line a problem. */
function problems(
  value: unknown,
  type: string,
  { path = [] }: { path?: readonly string[] } = {},
): string[] {
  const list = /^Array<(.*)>$/.exec(type)?.[1];
  if (list !== undefined) {
    if (!Array.isArray(value)) return [`${path.join(".")} is no list`];
    return value.flatMap((item, i) => problems(item, list, { path: [...path, String(i)] }));
  }
  const scalar = SCALARS[type];
  if (scalar !== undefined) return scalar(value) ? [] : [`${path.join(".")} is no ${type}`];
  if (typeof value !== "object" || value === null) return [`${path.join(".")} is no ${type}`];
  const item = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1];
  const attributes = item === undefined ? attributesOf(type) : undefined;
  return Object.entries(value).flatMap(([name, inner]) => {
    const inside = [...path, name];
    const innerType = item ?? attributes?.find(({ baseName }) => baseName === name)?.type;
    if (innerType === undefined) return [`${inside.join(".")} is unknown`];
    return problems(inner, innerType, { path: inside });
  });
}

function attributesOf(type: string): readonly Attribute[] {
  const model = Reflect.get(api, type);
  assert.ok(model !== undefined, `no model ${type}`);
  return model.getAttributeTypeMap();
}

async function documents(name: string): Promise<readonly Record<string, unknown>[]> {
  const text = await Deno.readTextFile(new URL(name, DEPLOY));
  return parseAllDocuments(text).map((document) => document.toJS());
}

for (const file of ["vipd.yaml", "unprivileged.yaml"]) {
  Deno.test(`deploy/${file} has only fields that the API knows`, async () => {
    for (const object of await documents(file)) {
      assert.deepEqual(problems(object, `V1${object["kind"]}`), []);
    }
  });
}

Deno.test("problems() finds an unknown field and a value of another kind", () => {
  const pod = { spec: { hostNetwork: "yes", container: [] } };
  assert.deepEqual(problems(pod, "V1Pod"), [
    "spec.hostNetwork is no boolean",
    "spec.container is unknown",
  ]);
});

Deno.test("the kustomization names files that exist, and the image that is deployed", async () => {
  const text = await Deno.readTextFile(new URL("kustomization.yaml", DEPLOY));
  const { resources, images } = parse(text);
  for (const name of resources) await Deno.stat(new URL(name, DEPLOY));
  const all = await Deno.readTextFile(new URL("vipd.yaml", DEPLOY));
  assert.match(all, new RegExp(`image: ${images[0].name}:`));
});

Deno.test("the service account is bound to the role of node proxies", async () => {
  const all = await documents("vipd.yaml");
  const binding = all.find(({ kind }) => kind === "ClusterRoleBinding");
  assert.deepEqual(binding?.["roleRef"], {
    apiGroup: "rbac.authorization.k8s.io",
    kind: "ClusterRole",
    name: "system:node-proxier",
  });
});
