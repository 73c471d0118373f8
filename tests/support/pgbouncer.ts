/** A real PgBouncer in transaction mode before a test server; it dies with the test process. */

import { chown, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../providers/nodes/embedded/server.ts";
import { ordinaryUser, spareBase, traversable } from "../../providers/nodes/embedded/user.ts";
import { clientOf, type TestServer } from "./postgres.ts";

/** What keeps these tests from running here, or null. @throws Error when PGDBA_TEST_REQUIRE says that nothing may */
export function pgbouncerMissing(): string | null {
  if (programOf() !== null) return null;
  const said = "not on this machine: pgbouncer";
  if ((process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("pgbouncer"))
    throw new Error(`pgbouncer is required, but ${said}`);
  return said;
}

/** Debian puts it where an ordinary user's PATH does not look. */
function programOf(): string | null {
  return Bun.which("pgbouncer", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin` });
}

const KEEPER = `cd "$BASE"
"$@" >>log 2>&1 </dev/null & p=$!
cat >/dev/null
kill -INT $p
wait $p
rm -rf "$BASE"`;

/** The same server behind a pooler with so many connections to each database, for each role. */
export async function startPgbouncer(server: TestServer, connections: number): Promise<TestServer> {
  const user = ordinaryUser();
  const parent = (await traversable(join(tmpdir(), "x"))) ? tmpdir() : await spareBase(["/tmp"]);
  const base = await mkdtemp(join(parent, "pgdba-pooler-"));
  const port = await freePort();
  await writeFile(join(base, "users"), `"${server.user}" "${server.password}"\n`);
  await writeFile(
    join(base, "ini"),
    `[databases]
* = host=${server.host} port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = users
pool_mode = transaction
default_pool_size = ${connections}
`,
  );
  if (user !== null)
    for (const file of [base, join(base, "users"), join(base, "ini")])
      await chown(file, user.uid, user.gid);
  const keeper = Bun.spawn(["/bin/sh", "-c", KEEPER, "keeper", programOf() ?? "pgbouncer", "ini"], {
    ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
    cwd: base,
    env: { PATH: "/usr/sbin:/usr/bin:/bin", BASE: base },
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
  });
  keeper.unref();
  const pooled: TestServer = {
    ...server,
    port,
    stop: async () => {
      await keeper.stdin.end();
      await keeper.exited;
    },
  };
  for (let tries = 1; ; tries++) {
    try {
      await (await clientOf(pooled)).end();
      return pooled;
    } catch (error) {
      if (tries === 100) {
        await pooled.stop();
        throw error;
      }
      await Bun.sleep(50);
    }
  }
}
