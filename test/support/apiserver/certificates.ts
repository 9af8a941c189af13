/**
 * A certificate authority that lives as long as the test: ECDSA P-256, made with WebCrypto and
 * @peculiar/x509.
 *
 * @module
 */

// tsyringe, which @peculiar/x509 is built on, refuses to load without it.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

/** A certificate and its key, both PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Who a client certificate speaks for. */
export interface Subject {
  readonly name: string;
  readonly groups: readonly string[];
}

/** Issues certificates until its own end of life. */
export interface CertificateAuthority {
  /** PEM. */
  readonly cert: string;
  /** For a server that is reached by these addresses and names. */
  issueServer(hosts: readonly string[], validity?: Validity): Promise<KeyPair>;
  /** For a client: CN is the user, O are the groups. */
  issueClient(subject: Subject, validity?: Validity): Promise<KeyPair>;
}

/** When a certificate is good. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

/** Makes an authority of its own, valid from an hour ago for a year. */
export async function createAuthority(name = "vipd-test-ca"): Promise<CertificateAuthority> {
  const keys = await generateKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [name] }],
    ...aroundNow(),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
    ],
  });
  const issue = (request: LeafRequest) => issueLeaf({ root, signingKey: keys.privateKey }, request);
  return {
    cert: root.toString("pem"),
    issueServer: (hosts, validity = aroundNow()) =>
      issue({ subject: [{ CN: ["kube-apiserver"] }], hosts, validity, usage: "serverAuth" }),
    issueClient: (subject, validity = aroundNow()) =>
      issue({
        subject: [...subject.groups.map((group) => ({ O: [group] })), { CN: [subject.name] }],
        hosts: [],
        validity,
        usage: "clientAuth",
      }),
  };
}

interface LeafRequest {
  readonly subject: x509.JsonName;
  readonly hosts: readonly string[];
  readonly validity: Validity;
  readonly usage: "serverAuth" | "clientAuth";
}

async function issueLeaf(
  issuer: { root: x509.X509Certificate; signingKey: CryptoKey },
  request: LeafRequest,
): Promise<KeyPair> {
  const keys = await generateKeys();
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[request.usage]]),
  ];
  if (request.hosts.length > 0) {
    extensions.push(new x509.SubjectAlternativeNameExtension(request.hosts.map(alternativeName)));
  }
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: request.subject,
    issuer: issuer.root.subjectName.toJSON(),
    ...request.validity,
    signingKey: issuer.signingKey,
    publicKey: keys.publicKey,
    signingAlgorithm: ALGORITHM,
    extensions,
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { cert: leaf.toString("pem"), key: x509.PemConverter.encode(key, "PRIVATE KEY") };
}

function alternativeName(host: string): { type: "ip" | "dns"; value: string } {
  return { type: /^[\d.]+$|:/.test(host) ? "ip" : "dns", value: host };
}

function aroundNow(): Validity {
  const now = Date.now();
  return { notBefore: new Date(now - 3_600_000), notAfter: new Date(now + 365 * DAY_MS) };
}

function generateKeys(): Promise<CryptoKeyPair> {
  const extractable = true;
  return crypto.subtle.generateKey(ALGORITHM, extractable, ["sign", "verify"]);
}

function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  // A positive number: the first bit stays clear.
  return [...bytes].map((byte, i) =>
    (i === 0 ? byte & 0x7f | 1 : byte).toString(16).padStart(2, "0")
  )
    .join("");
}
