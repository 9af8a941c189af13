import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { decodeManifest, ManifestError } from "./manifest.ts";

const SERVICE = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: ns}
spec: {clusterIP: 172.30.0.1, ports: [{port: 80}]}
`;

function keys(text: string): readonly (string | undefined)[] {
  return decodeManifest(text, { nodeName: "here" })
    .map(({ change }) => change && `${change.kind} ${change.key}${change.object ? "" : " -"}`);
}

const TEXTS: readonly (readonly [string, string, readonly string[]])[] = [
  ["one document", SERVICE, ["Service ns/web"]],
  ["no document", "", []],
  ["remarks only", "# nothing\n---\n---\n", []],
  [
    "several documents",
    `---\n${SERVICE}---\n# empty\n---\n${SERVICE.replace("web", "db")}...\n`,
    ["Service ns/web", "Service ns/db"],
  ],
  ["other kinds", `${SERVICE.replace("Service", "Deployment")}---\n${SERVICE}`, ["Service ns/web"]],
  ["documents that are no objects", `[1]\n---\ntext\n---\n7\n---\n${SERVICE}`, ["Service ns/web"]],
  [
    "a v1 List",
    JSON.stringify({
      apiVersion: "v1",
      kind: "List",
      items: [
        { apiVersion: "v1", kind: "Node", metadata: { name: "here" } },
        { apiVersion: "v1", kind: "Node", metadata: { name: "elsewhere" } },
        { kind: "List", items: [{ apiVersion: "v1", kind: "Node", metadata: { name: "here" } }] },
        7,
      ],
    }),
    ["Node here", "Node elsewhere -", "Node here"],
  ],
  [
    "a list as the API answers it",
    "apiVersion: networking.k8s.io/v1\nkind: ServiceCIDRList\nitems:\n" +
    "- metadata: {name: k}\n  spec: {cidrs: [10.0.0.0/8]}\n",
    ["ServiceCIDR k"],
  ],
  ["JSON with several documents", `{"kind": "x"}\n---\n${SERVICE}`, ["Service ns/web"]],
];
for (const [what, text, want] of TEXTS) {
  Deno.test(`decodeManifest() reads ${what}`, () => deepStrictEqual(keys(text), want));
}

Deno.test("decodeManifest() uses namespace default", () => {
  deepStrictEqual(keys(SERVICE.replace(", namespace: ns", "")), ["Service default/web"]);
});

Deno.test("decodeManifest() notes what it leaves out", () => {
  const [entry] = decodeManifest(SERVICE.replace("172.30.0.1", "172.30.0.x"), { nodeName: "here" });
  strictEqual(entry?.change?.object, undefined);
  strictEqual(entry?.note?.fields["object"], "ns/web");
});

const BROKEN: readonly (readonly [string, string, number])[] = [
  ["YAML", `${SERVICE}---\na: [b\nc: d\n`, 7],
  ["a tab", `${SERVICE}\tx: 1\n`, 5],
  ["JSON", '{"a": 1,\n "b": [}\n', 2],
  ["a name given twice", `${SERVICE}kind: Service\n`, 5],
];
for (const [what, text, line] of BROKEN) {
  Deno.test(`decodeManifest() names the line of broken input: ${what}`, () => {
    throws(() => keys(text), (error) => {
      ok(error instanceof ManifestError);
      strictEqual(error.line, line, error.message);
      return true;
    });
  });
}

Deno.test("decodeManifest() refuses aliases that multiply", () => {
  const lists = Array.from({ length: 12 }, (_, i) => `- &a${i + 1} [${`*a${i},`.repeat(9)}]`);
  throws(() => keys(`x:\n- &a0 [1]\n${lists.join("\n")}\n`), ManifestError);
});

Deno.test("decodeManifest() ends with lists that contain themselves", () => {
  deepStrictEqual(keys("&a {kind: List, items: [*a]}"), []);
});
