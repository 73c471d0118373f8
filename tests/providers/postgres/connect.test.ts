import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ordinaryUser } from "../../../providers/nodes/embedded/user.ts";
import { connect, type SslMode } from "../../../providers/postgres/connect.ts";
import { fromPostgres } from "../../../providers/postgres/errors.ts";
import { freePort } from "../../../providers/nodes/embedded/server.ts";
import {
  clientOf,
  reload,
  sharedServer,
  startServer,
  type TestServer,
} from "../../support/postgres.ts";
import { codeOf, type ConnectionSpec, specOf } from "./helpers.ts";

let plain: TestServer;
beforeAll(async () => {
  plain = await sharedServer();
});

/** Connects, gives whether TLS is used, and disconnects. */
async function encrypted(spec: ConnectionSpec): Promise<boolean> {
  const client = await connect(spec);
  const { rows } = await client.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
  await client.end();
  return rows[0].ssl;
}

describe("errors say what to do, by code", () => {
  test("a port nobody listens on", async () => {
    const port = await freePort();
    const error = await connect({ ...specOf(plain), port }).catch((thrown) => thrown);
    expect([error.code, error.retryable, error.data]).toEqual([
      "connection_failed",
      true,
      { code: "ECONNREFUSED" },
    ]);
    expect(error.hint).toContain("Nothing listens there");
  });

  test("a wrong password, a database that is not there, no password at all", async () => {
    const wrong = await connect({ ...specOf(plain), password: () => "wrong" }).catch(
      (thrown) => thrown,
    );
    expect([wrong.code, wrong.data.sqlstate]).toEqual(["connection_failed", "28P01"]);
    // Whichever it was taken from.
    for (const source of ["PGDBA_PG_PASSWORD", " PGPASSWORD", "PGPASSFILE"])
      expect(wrong.hint).toContain(source);
    const absent = await connect({ ...specOf(plain), database: "absent" }).catch(
      (thrown) => thrown,
    );
    expect([absent.code, absent.data.sqlstate]).toEqual(["connection_failed", "3D000"]);
    expect(await codeOf(connect({ ...specOf(plain), password: () => undefined }))).toBe(
      "missing_secret",
    );
  });

  test("a server that takes the connection and says nothing", async () => {
    const mute = createServer(() => {});
    await new Promise<void>((done) => mute.listen(0, "127.0.0.1", done));
    const { port } = mute.address() as { port: number };
    const begun = performance.now();
    expect(await codeOf(connect({ ...specOf(plain), port, connect_timeout_ms: 150 }))).toBe(
      "connection_failed",
    );
    expect(performance.now() - begun).toBeLessThan(1500);
    mute.close();
  });

  test.each([
    ["42501", "insufficient_privilege", false],
    ["40P01", "query_failed", true],
    ["55P03", "timeout", true],
    ["57014", "timeout", false],
    ["57P03", "connection_failed", true],
    ["53300", "connection_failed", true],
    ["42601", "query_failed", false],
  ])("SQLSTATE %s", (code, expected, retryable) => {
    const error = fromPostgres(Object.assign(new Error("x"), { code, severity: "ERROR" }), "test");
    expect([error.code, error.retryable, error.hint === undefined]).toEqual([
      expected as typeof error.code,
      retryable,
      false,
    ]);
  });
});

test("a unix socket", async () => {
  const client = await connect({ ...specOf(plain), host: plain.socketDir, sslmode: "verify-full" });
  expect((await client.query("SELECT inet_client_addr() AS a")).rows).toEqual([{ a: null }]);
  await client.end();
});

test("a server without TLS: prefer falls back, require does not", async () => {
  expect(await encrypted({ ...specOf(plain), sslmode: "prefer" })).toBe(false);
  expect(await codeOf(connect({ ...specOf(plain), sslmode: "require" }))).toBe("connection_failed");
});

describe.skipIf(Bun.which("openssl") === null)("TLS (needs openssl)", () => {
  const dir = mkdtempSync(join(tmpdir(), "pgdba-tls-"));
  const [ca, other] = [join(dir, "ca.crt"), join(dir, "other.crt")];
  let server: TestServer;

  const openssl = (...args: string[]) => {
    const done = Bun.spawnSync(["openssl", ...args], { cwd: dir });
    if (done.exitCode !== 0) throw new Error(done.stderr.toString());
  };
  const authority = (name: string) =>
    openssl(
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.crt`,
    );

  beforeAll(async () => {
    authority("ca");
    authority("other");
    openssl(
      "req",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost",
      "-keyout",
      "server.key",
      "-out",
      "server.csr",
    );
    openssl(
      "x509",
      "-req",
      "-in",
      "server.csr",
      "-CA",
      "ca.crt",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "2",
      "-copy_extensions",
      "copy",
      "-out",
      "server.crt",
    );
    server = await startServer({
      settings: { ssl: "on" },
      prepare: async (dataDir) => {
        const user = ordinaryUser();
        for (const name of ["server.key", "server.crt"]) {
          copyFileSync(join(dir, name), join(dataDir, name));
          chmodSync(join(dataDir, name), 0o600);
          if (user !== null) chownSync(join(dataDir, name), user.uid, user.gid);
        }
      },
    });
  }, 300_000);
  afterAll(async () => {
    await server.stop();
    rmSync(dir, { recursive: true });
  });

  test.each<[SslMode, string, string | undefined, boolean | "refused"]>([
    ["disable", "127.0.0.1", undefined, false],
    ["prefer", "127.0.0.1", undefined, true],
    ["require", "127.0.0.1", undefined, true],
    ["require", "127.0.0.1", other, "refused"],
    ["verify-ca", "127.0.0.1", ca, true],
    ["verify-ca", "127.0.0.1", other, "refused"],
    ["verify-ca", "127.0.0.1", undefined, "refused"],
    ["verify-full", "localhost", ca, true],
    ["verify-full", "127.0.0.1", ca, "refused"],
    ["verify-full", "localhost", other, "refused"],
  ])("%s to %s, trusting %s: %p", async (sslmode, host, sslrootcert, expected) => {
    const spec = { ...specOf(server), sslmode, host, sslrootcert };
    if (expected !== "refused") return expect(await encrypted(spec)).toBe(expected);
    expect(await codeOf(connect(spec))).toBe("connection_failed");
  });

  test("a root certificate that can't be read", async () => {
    expect(
      await codeOf(
        connect({ ...specOf(server), sslmode: "verify-ca", sslrootcert: join(dir, "absent") }),
      ),
    ).toBe("invalid_config");
  });

  test("prefer falls back where pg_hba.conf wants no TLS", async () => {
    const client = await clientOf(server);
    const hba = (await client.query("SHOW hba_file")).rows[0].hba_file;
    const before = await Bun.file(hba).text();
    await Bun.write(hba, `hostssl all all all reject\n${before}`);
    await reload(client);
    await client.end();
    expect(await encrypted({ ...specOf(server), sslmode: "prefer" })).toBe(false);
    expect(await codeOf(connect({ ...specOf(server), sslmode: "require" }))).toBe(
      "connection_failed",
    );
  });
});
