import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  authorityIn,
  certificateIn,
  issue,
  makeAuthority,
  NODE_DAYS,
} from "../../providers/certificates/authority.ts";
import { integer, oid, time } from "../../providers/certificates/der.ts";

let folder: string;
const ca = makeAuthority("pgdba orders");
const NAMES = [
  "pg1",
  "orders-pg1",
  "localhost",
  "127.0.0.1",
  "::1",
  "2001:db8::5",
  "db.example.com",
];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pgdba-certificates-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const hasOpenssl = Bun.which("openssl") !== null;

/** As strict as Python is from 3.13 on. */
async function verified(pem: string, authority: string, ...more: string[]): Promise<number> {
  const [file, cafile] = [join(folder, "own.pem"), join(folder, "ca.crt")];
  await Promise.all([writeFile(file, pem), writeFile(cafile, certificateIn(authority))]);
  const argv = ["openssl", "verify", "-x509_strict", "-CAfile", cafile, ...more, file];
  return Bun.spawn(argv, { stdout: "ignore", stderr: "ignore" }).exited;
}

describe("a node's certificate", () => {
  const { pem, notAfter } = issue(authorityIn(ca), "pg1", NAMES);

  test("is for its names and addresses, and signed by the authority", () => {
    const own = new X509Certificate(certificateIn(pem));
    const authority = new X509Certificate(certificateIn(ca));
    expect(own.verify(authority.publicKey)).toBe(true);
    expect(own.checkIssued(authority)).toBe(true);
    expect(own.ca).toBe(false);
    expect(authority.ca).toBe(true);
    for (const name of ["pg1", "orders-pg1", "localhost", "db.example.com"])
      expect(own.checkHost(name)).toBe(name);
    for (const address of ["127.0.0.1", "::1", "2001:db8::5"])
      expect(own.checkIP(address)).toBe(address);
    expect(own.checkHost("pg2")).toBeUndefined();
    expect(own.checkIP("10.0.0.1")).toBeUndefined();
    expect(own.serialNumber).not.toBe(authority.serialNumber);
    expect(Date.parse(own.validTo)).toBe(Math.floor(notAfter.getTime() / 1000) * 1000);
  });

  test.skipIf(!hasOpenssl)(
    "holds before the strictest check of a server and of a client",
    async () => {
      expect(await verified(pem, ca, "-purpose", "sslserver", "-verify_hostname", "pg1")).toBe(0);
      expect(await verified(pem, ca, "-purpose", "sslclient", "-verify_ip", "::1")).toBe(0);
      expect(await verified(pem, ca, "-verify_hostname", "pg2")).not.toBe(0);
      expect(await verified(pem, makeAuthority("pgdba orders"))).not.toBe(0);
    },
  );

  test("serves TLS to whoever trusts the authority, and to nobody else", async () => {
    const server = createServer({ key: pem, cert: pem }, (socket) => socket.end("hello"));
    await new Promise<void>((up) => server.listen(0, "127.0.0.1", up));
    const { port } = server.address() as { port: number };
    const shaken = (trusted: string) =>
      new Promise<string>((done) => {
        const socket = connect({ host: "127.0.0.1", port, ca: certificateIn(trusted) });
        socket.once("data", (bytes) => done(bytes.toString()));
        socket.once("error", () => done("refused"));
      });
    try {
      expect(await shaken(ca)).toBe("hello");
      expect(await shaken(makeAuthority("pgdba orders"))).toBe("refused");
    } finally {
      server.close();
    }
  });

  test("is good for two years, and for no longer than its authority", () => {
    const now = new Date("2026-01-01T00:00:00Z");
    const old = makeAuthority("old", new Date("2007-01-01T00:00:00Z"));
    const { notAfter: short } = issue(authorityIn(old), "pg1", ["pg1"], now);
    expect(short.toISOString()).toBe(
      new Date(new X509Certificate(certificateIn(old)).validTo).toISOString(),
    );
    const { notAfter: usual } = issue(authorityIn(ca), "pg1", ["pg1"], now);
    expect((usual.getTime() - now.getTime()) / 86_400_000).toBe(NODE_DAYS);
  });
});

test("what is no authority is refused with what to do", () => {
  const other = issue(authorityIn(ca), "pg1", ["pg1"]).pem;
  const mixed = other.slice(0, other.indexOf("-----BEGIN CERT")) + certificateIn(ca);
  for (const pem of ["", "nonsense", certificateIn(ca), mixed])
    expect(() => authorityIn(pem)).toThrow(
      expect.objectContaining({ code: "invalid_config" }) as never,
    );
});

test("numbers, identifiers and times as X.690 and RFC 5280 have them", () => {
  expect(integer(Buffer.from([0, 0, 0x80])).toString("hex")).toBe("02020080");
  expect(integer(Buffer.from([0, 0])).toString("hex")).toBe("020100");
  expect(oid("1.2.840.10045.4.3.2").toString("hex")).toBe("06082a8648ce3d040302");
  expect(time(new Date("2049-12-31T23:59:59Z")).toString("latin1")).toBe("\x17\x0d491231235959Z");
  expect(time(new Date("2050-01-01T00:00:00Z")).toString("latin1")).toBe("\x18\x0f20500101000000Z");
});
