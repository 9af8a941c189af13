/**
 * The manifests of deploy/, plain and as kubectl puts them together, against the types of Kubernetes:
 * no field that the API does not know, and none of another kind. Needs no cluster; kubectl comes by
 * npm.
 *
 *     deno test -A test/packaging/deploy_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import * as api from "@kubernetes/client-node";
import { parseAllDocuments } from "yaml";
import { VIPD_VERSION } from "../../src/cli/version.ts";
import { type Kubectl, openKubectl } from "../support/kubectl.ts";

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

type Manifest = Record<string, unknown>;

function documents(text: string): readonly Manifest[] {
  return parseAllDocuments(text).map((document) => document.toJS());
}

async function read(name: string): Promise<string> {
  return await Deno.readTextFile(new URL(name, DEPLOY));
}

function assertKnown(objects: readonly Manifest[]): void {
  assert.ok(objects.length > 0);
  for (const object of objects) assert.deepEqual(problems(object, `V1${object["kind"]}`), []);
}

Deno.test("deploy/base/vipd.yaml has only fields that the API knows", async () => {
  assertKnown(documents(await read("base/vipd.yaml")));
});

Deno.test("problems() finds an unknown field and a value of another kind", () => {
  const pod = { spec: { hostNetwork: "yes", container: [] } };
  assert.deepEqual(problems(pod, "V1Pod"), [
    "spec.hostNetwork is no boolean",
    "spec.container is unknown",
  ]);
});

Deno.test("the service account is bound to the role of node proxies", async () => {
  const all = documents(await read("base/vipd.yaml"));
  const binding = all.find(({ kind }) => kind === "ClusterRoleBinding");
  assert.deepEqual(binding?.["roleRef"], {
    apiGroup: "rbac.authorization.k8s.io",
    kind: "ClusterRole",
    name: "system:node-proxier",
  });
});

/** A copy of deploy/ with what the guide writes there. */
async function withDeploy(use: (directory: string, kubectl: Kubectl) => Promise<void>) {
  await using kubectl = await openKubectl();
  const directory = await Deno.makeTempDir({ prefix: "vipd-deploy-" });
  try {
    await new Deno.Command("cp", { args: ["-r", `${DEPLOY.pathname}.`, directory] }).output();
    for (const name of ["config.conf", "kubeconfig.conf"]) {
      await Deno.writeTextFile(`${directory}/kubeadm/${name}`, `kind: ${name}\n`);
    }
    await use(directory, kubectl);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The pod of the DaemonSet, as deep as the checks below look. */
interface PodSpec {
  readonly nodeSelector: Record<string, string>;
  readonly containers: readonly {
    readonly image: string;
    readonly args: readonly string[];
    readonly securityContext: object;
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  }[];
}

function podOf(objects: readonly Manifest[]): PodSpec {
  const set = objects.find(({ kind }) => kind === "DaemonSet") as {
    readonly spec: { readonly template: { readonly spec: PodSpec } };
  };
  return set.spec.template.spec;
}

const DEPRIVED = {
  privileged: false,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"], add: ["NET_ADMIN", "NET_RAW"] },
};

Deno.test("kubectl puts every kustomization together", async (t) => {
  await withDeploy(async (directory, kubectl) => {
    const build = async (name: string) =>
      documents(await kubectl.run(["kustomize", `${directory}/${name}`]));
    await t.step("deploy/ is what is in base/vipd.yaml", async () => {
      const objects = await build("");
      assertKnown(objects);
      const kinds = (all: readonly Manifest[]) => all.map(({ kind }) => kind).sort();
      assert.deepEqual(kinds(objects), kinds(documents(await read("base/vipd.yaml"))));
      assert.equal(podOf(objects).containers[0]?.image, `vipd:${VIPD_VERSION}`);
    });
    await t.step("deploy/unprivileged has no privileges", async () => {
      const objects = await build("unprivileged");
      assertKnown(objects);
      const [container] = podOf(objects).containers;
      assert.deepEqual(container?.securityContext, DEPRIVED);
    });
    await t.step("deploy/kubeadm has kubeadm's files where they name each other", async () => {
      const objects = await build("kubeadm");
      assertKnown(objects);
      const [container] = podOf(objects).containers;
      const places = container?.volumeMounts.filter(({ name }) => name === "config");
      assert.deepEqual(places?.map(({ mountPath }) => mountPath), ["/var/lib/kube-proxy"]);
      assert.equal(container?.args[0], "--config=/var/lib/kube-proxy/config.conf");
      assert.equal(podOf(objects).nodeSelector["service-proxy"], "vipd");
      const config = objects.find(({ kind }) => kind === "ConfigMap");
      assert.deepEqual(config?.["data"], {
        "config.conf": "kind: config.conf\n",
        "kubeconfig.conf": "kind: kubeconfig.conf\n",
      });
    });
    await t.step("the guide's patch keeps kube-proxy off nodes of vipd", async () => {
      const guide = await Deno.readTextFile(new URL("../docs/migrate.md", DEPLOY));
      const patch = /patch daemonset kube-proxy .*\\\n\s*'(.*)'/.exec(guide)?.[1] ?? "";
      const file = `${directory}/daemonset.json`;
      const container = { name: "kube-proxy", image: "kube-proxy" };
      await Deno.writeTextFile(file, JSON.stringify(daemonSet([container])));
      const args = ["--local", "--type=merge", `--patch=${patch}`, "--output=json"];
      const patched = JSON.parse(await kubectl.run(["patch", `--filename=${file}`, ...args]));
      assert.deepEqual(problems(patched, "V1DaemonSet"), []);
      const { affinity, containers } = patched.spec.template.spec;
      assert.deepEqual(containers, [container]);
      const [term] = affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution
        .nodeSelectorTerms;
      assert.deepEqual(term.matchExpressions, [
        { key: "service-proxy", operator: "NotIn", values: ["vipd"] },
      ]);
    });
  });
});

function daemonSet(containers: readonly object[]): object {
  const labels = { name: "kube-proxy" };
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: labels,
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    },
  };
}
