import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const run = mkdtempSync(join(tmpdir(), "pgdba-bootstrap-"));
afterAll(() => rmSync(run, { recursive: true, force: true }));

/** Patroni 3.0 writes a password file for the path of the socket, and libpq looks there for `localhost` when that is the usual one. */
test.skipIf(Bun.which("python3") === null)(
  "what is made with a new cluster is made with the superuser's password, wherever the server's socket is",
  () => {
    const password = "a:b\\c é";
    const secrets = { postgresql: { authentication: { superuser: { password } } } };
    writeFileSync(join(run, "20-secrets.yml"), JSON.stringify(secrets));
    const program = `import sys; sys.path.insert(0, "deployments/docker/start"); sys.dont_write_bytecode = True
import after_bootstrap; after_bootstrap.RUN = sys.argv[1]; print(after_bootstrap.passfile(), end="")`;
    const { stdout, stderr } = Bun.spawnSync(["python3", "-c", program, run], {
      cwd: join(import.meta.dir, "../../.."),
    });
    expect(stderr.toString()).toBe("");
    const file = stdout.toString();
    expect(readFileSync(file, "utf8")).toBe("*:*:*:*:a\\:b\\\\c é\n");
    expect(statSync(file).mode & 0o777).toBe(0o600);
  },
);
