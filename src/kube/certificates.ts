/**
 * What is wrong with certificates, said before the TLS library says something misleading: Deno 2.9
 * calls an expired certificate "unable to verify the first certificate" and a key that does not
 * fit "unsupported protocol".
 *
 * @module
 */

import { createPrivateKey, X509Certificate } from "node:crypto";

/** One certificate: the first of a PEM file, or DER. Undefined when it is none. */
export function parseCertificate(pem: string | Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return undefined;
  }
}

/** Why a key cannot be used with a certificate; undefined when it can. */
export function keyPairProblem(certificatePem: string, keyPem: string): string | undefined {
  const certificate = parseCertificate(certificatePem);
  if (certificate === undefined) return "is not a certificate in PEM";
  try {
    const isPair = certificate.checkPrivateKey(createPrivateKey(keyPem));
    return isPair ? undefined : "does not belong to the key beside it";
  } catch (error) {
    return `cannot be used, the key beside it is not a private key in PEM: ${String(error)}`;
  }
}

/** Why a certificate is not valid at this time; undefined when it is. */
export function validityProblem(certificate: X509Certificate, nowMs: number): string | undefined {
  const { validFrom, validTo } = certificate;
  if (nowMs < Date.parse(validFrom)) return `is not valid before ${isoTime(validFrom)}`;
  if (nowMs > Date.parse(validTo)) return `expired at ${isoTime(validTo)}`;
  return undefined;
}

/** Why a server was not trusted; undefined when its certificate does not tell. */
export function distrustReason(
  server: X509Certificate,
  { caPem, nowMs }: { caPem: string | undefined; nowMs: number },
): string | undefined {
  const validity = validityProblem(server, nowMs);
  if (validity !== undefined) return `the certificate of the server ${validity}`;
  const authorities = certificatesOf(caPem ?? "");
  if (authorities.some((authority) => server.checkIssued(authority))) {
    const old = authorities.find((authority) => validityProblem(authority, nowMs) !== undefined);
    return old && `the certificate authority ${validityProblem(old, nowMs)}`;
  }
  const known = authorities.map((authority) => authority.subject.replaceAll("\n", ", "));
  return `the certificate of the server was issued by ${server.issuer.replaceAll("\n", ", ")}, ` +
    (caPem === undefined
      ? "and no certificate authority is configured"
      : `which is not among the certificate authorities: ${known.join("; ")}`);
}

/**
 * The private key of a PEM file, which may hold certificates too: the kubelet keeps both in
 * kubelet-client-current.pem. All of it when there is none.
 */
export function privateKeyOf(pem: string): string {
  const blocks = pem.match(/-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----\n?/g) ?? [];
  return blocks.find((block) => /^-----BEGIN ([A-Z]+ )*PRIVATE KEY-----/.test(block)) ?? pem;
}

/** All certificates of a PEM file. */
export function certificatesOf(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map(parseCertificate).filter((certificate) => certificate !== undefined);
}

function isoTime(text: string): string {
  return new Date(text).toISOString();
}
