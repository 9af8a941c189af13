import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { createAuthority } from "../../test/support/apiserver/certificates.ts";
import {
  certificatesOf,
  distrustReason,
  keyPairProblem,
  parseCertificate,
  validityProblem,
} from "./certificates.ts";

const JANUARY = { notBefore: new Date("2026-01-01"), notAfter: new Date("2026-02-01") };
const [IN_TIME, EARLY, LATE] = ["2026-01-15", "2025-12-31", "2026-02-02"].map(Date.parse);
const CLIENT = { name: "system:kube-proxy", groups: ["system:nodes"] };

function parsed(pem: string): NonNullable<ReturnType<typeof parseCertificate>> {
  const certificate = parseCertificate(pem);
  if (certificate === undefined) throw new TypeError("no certificate");
  return certificate;
}

Deno.test("keyPairProblem() accepts a pair and tells what is wrong with others", async () => {
  const authority = await createAuthority();
  const [one, two] = [await authority.issueClient(CLIENT), await authority.issueClient(CLIENT)];
  strictEqual(keyPairProblem(one.cert, one.key), undefined);
  strictEqual(keyPairProblem(one.cert, two.key), "does not belong to the key beside it");
  strictEqual(keyPairProblem("x", one.key), "is not a certificate in PEM");
  match(String(keyPairProblem(one.cert, "x")), /the key beside it is not a private key in PEM/);
});

Deno.test("validityProblem() names the moment", async () => {
  const authority = await createAuthority();
  const { cert } = await authority.issueClient(CLIENT, JANUARY);
  deepStrictEqual([IN_TIME, EARLY, LATE].map((ms) => validityProblem(parsed(cert), ms ?? 0)), [
    undefined,
    "is not valid before 2026-01-01T00:00:00.000Z",
    "expired at 2026-02-01T00:00:00.000Z",
  ]);
});

Deno.test("distrustReason() tells an expired server certificate from a wrong authority", async () => {
  const [ours, other] = [await createAuthority("ours"), await createAuthority("other")];
  const server = parsed((await ours.issueServer(["127.0.0.1"], JANUARY)).cert);
  const reason = (caPem: string | undefined, nowMs = 0) => distrustReason(server, { caPem, nowMs });
  strictEqual(
    reason(ours.cert, LATE),
    "the certificate of the server expired at 2026-02-01T00:00:00.000Z",
  );
  strictEqual(
    reason(other.cert, IN_TIME),
    "the certificate of the server was issued by CN=ours, " +
      "which is not among the certificate authorities: CN=other",
  );
  strictEqual(
    reason(undefined, IN_TIME),
    "the certificate of the server was issued by CN=ours, " +
      "and no certificate authority is configured",
  );
  const nowMs = Date.now();
  const fresh = parsed((await ours.issueServer(["127.0.0.1"])).cert);
  strictEqual(distrustReason(fresh, { caPem: other.cert + ours.cert, nowMs }), undefined);
});

Deno.test("certificatesOf() finds all certificates of a bundle, and none in other text", async () => {
  const [one, two] = [await createAuthority("one"), await createAuthority("two")];
  const bundle = `# one\n${one.cert}\n# two\n${two.cert}\n`;
  deepStrictEqual(certificatesOf(bundle).map(({ subject }) => subject), ["CN=one", "CN=two"]);
  deepStrictEqual(certificatesOf("nothing"), []);
});
