import { chown, stat } from "node:fs/promises";
import { join } from "node:path";
import type { TestServer } from "../../../support/postgres.ts";

/** Puts a certificate of its own and its key where the server looks for them. Needs openssl. */
export async function putCertificate({ dataDir }: TestServer): Promise<void> {
  const [key, cert] = [join(dataDir, "server.key"), join(dataDir, "server.crt")];
  const done = Bun.spawnSync(
    [
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "2",
    ].concat(["-subj", "/CN=localhost", "-keyout", key, "-out", cert]),
  );
  if (done.exitCode !== 0) throw new Error(done.stderr.toString());
  const { uid, gid } = await stat(dataDir);
  for (const file of [key, cert]) await chown(file, uid, gid);
}

/** What the trials that need one can't do without; throws when PGDBA_TEST_REQUIRE says that it must be there. */
export function opensslMissing(): string | null {
  if (Bun.which("openssl") !== null) return null;
  if ((process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("openssl"))
    throw new Error("openssl is required, but not on this machine");
  return "not on this machine: openssl";
}
