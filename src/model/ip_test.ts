import { deepStrictEqual, throws } from "node:assert/strict";
import {
  bitsOf,
  containsIp,
  familyOf,
  familyOfCidr,
  formatCidr,
  formatHostPort,
  ipFromBytes,
  ipToBytes,
  isLinkLocal,
  isLoopback,
  isUnspecified,
  parseCidr,
  parseIp,
} from "./ip.ts";

const ADDRESSES = [
  ["10.0.0.1", "10.0.0.1"],
  ["010.000.0.01", "10.0.0.1"],
  ["255.255.255.255", "255.255.255.255"],
  ["::", "::"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["FD00:0077:0:0:0:0:0:2", "fd00:77::2"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ["1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"],
  ["1:0:0:4:5:0:0:8", "1::4:5:0:0:8"],
  ["1:0:0:4:0:0:0:8", "1:0:0:4::8"],
  ["0:0:3:4:5:6:7:0", "::3:4:5:6:7:0"],
  ["2001:db8::10.1.2.3", "2001:db8::a01:203"],
  ["::ffff:10.1.2.3", "10.1.2.3"],
  ["::ffff:a01:203", "10.1.2.3"],
  ["::10.1.2.3", "::a01:203"],
] as const;
for (const [text, want] of ADDRESSES) {
  Deno.test(`parseIp() reads ${text} as ${want}`, () => {
    deepStrictEqual(parseIp(text), want);
    deepStrictEqual(parseIp(want), want);
    deepStrictEqual(ipFromBytes(ipToBytes(parseIp(text))), want);
  });
}

const NO_ADDRESSES = [
  "",
  " 10.0.0.1",
  "10.0.0",
  "10.0.0.1.2",
  "10.0.0.256",
  "10.0.0.-1",
  "10.0.0.1e1",
  "0x10.0.0.1",
  "10..0.1",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1::2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7:8::",
  "12345::",
  "g::",
  "1.2.3.4::",
  "1.2.3.4::5",
  "1:1.2.3.4:2::",
  "::1.2.3",
  "fe80::1%eth0",
  "[::1]",
  "-j DROP",
];
for (const text of NO_ADDRESSES) {
  Deno.test(`parseIp() refuses ${JSON.stringify(text)}`, () => {
    throws(() => parseIp(text), { name: "SyntaxError", message: /^Cannot parse IP address "/ });
  });
}

Deno.test("parseIp() does not repeat a long text in its error", () => {
  throws(() => parseIp("x".repeat(1000)), (error: Error) => error.message.length < 120);
});

const CIDRS = [
  ["10.1.2.3/8", "10.0.0.0/8"],
  ["10.1.2.3/32", "10.1.2.3/32"],
  ["10.1.2.3/31", "10.1.2.2/31"],
  ["010.1.2.3/16", "10.1.0.0/16"],
  ["10.1.2.3/0", "0.0.0.0/0"],
  ["::/0", "::/0"],
  ["fd00:77::2/64", "fd00:77::/64"],
  ["fd00:77:8000::/33", "fd00:77:8000::/33"],
  ["fd00:77::2/128", "fd00:77::2/128"],
  ["::ffff:10.1.2.3/104", "10.0.0.0/8"],
] as const;
for (const [text, want] of CIDRS) {
  Deno.test(`parseCidr() reads ${text} as ${want}`, () => {
    deepStrictEqual(formatCidr(parseCidr(text)), want);
  });
}

for (
  const text of ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "/8", "x/8"]
) {
  Deno.test(`parseCidr() refuses ${text}`, () => {
    throws(() => parseCidr(text), { name: "SyntaxError", message: /^Cannot parse CIDR "/ });
  });
}

const CONTAINS = [
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["10.0.0.4/31", "10.0.0.5", true],
  ["10.0.0.4/31", "10.0.0.6", false],
  ["0.0.0.0/0", "203.0.113.1", true],
  ["0.0.0.0/0", "fd00::1", false],
  ["::/0", "203.0.113.1", false],
  ["fd00:77::/64", "fd00:77::ffff", true],
  ["fd00:77::/64", "fd00:78::1", false],
] as const;
for (const [cidr, ip, want] of CONTAINS) {
  Deno.test(`containsIp() says ${want} to ${ip} in ${cidr}`, () => {
    deepStrictEqual(containsIp(parseCidr(cidr), parseIp(ip)), want);
  });
}

const KINDS = [
  ["127.0.0.1", "loopback"],
  ["127.1.2.3", "loopback"],
  ["::1", "loopback"],
  ["0.0.0.0", "unspecified"],
  ["::", "unspecified"],
  ["169.254.1.1", "link-local"],
  ["fe80::1", "link-local"],
  ["febf::1", "link-local"],
  ["fec0::1", "ordinary"],
  ["1270::1", "ordinary"],
  ["10.0.0.1", "ordinary"],
] as const;
for (const [text, want] of KINDS) {
  Deno.test(`${text} is ${want}`, () => {
    const ip = parseIp(text);
    const kinds = [isLoopback(ip), isUnspecified(ip), isLinkLocal(ip)];
    const names = ["loopback", "unspecified", "link-local"] as const;
    deepStrictEqual(kinds, names.map((name) => name === want));
  });
}

Deno.test("the family of an address and of a network, and their width", () => {
  deepStrictEqual(familyOf(parseIp("10.0.0.1")), "IPv4");
  deepStrictEqual(familyOf(parseIp("::1")), "IPv6");
  deepStrictEqual(familyOfCidr(parseCidr("10.0.0.0/8")), "IPv4");
  deepStrictEqual(familyOfCidr(parseCidr("::/0")), "IPv6");
  deepStrictEqual([bitsOf("IPv4"), bitsOf("IPv6")], [32, 128]);
});

Deno.test("formatHostPort() puts brackets around IPv6", () => {
  deepStrictEqual(formatHostPort(parseIp("10.0.0.1"), 80), "10.0.0.1:80");
  deepStrictEqual(formatHostPort(parseIp("fd00::1"), 80), "[fd00::1]:80");
});

Deno.test("ipFromBytes() refuses other lengths", () => {
  throws(() => ipFromBytes(new Uint8Array(5)), RangeError);
});
