/** A real PgBouncer in transaction mode before a test server; it dies with the test process. */

import { chown, mkdtemp, readFile, writeFile } from "node:fs/promises";
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

/** Ends it by word and starts it again; its files go when standard input closes. */
const KEEPER = `cd "$BASE"
start() { "$@" >>log 2>&1 </dev/null & p=$!; }
start "$@"
while read -r word; do
  case $word in
    restart) kill -KILL $p; wait $p; start "$@" ;;
    freeze) kill -STOP $p ;;
    thaw) kill -CONT $p ;;
  esac
done
kill -INT $p
wait $p
rm -rf "$BASE"`;

/** The role that every pooler of a test lets into its console. */
export const CONSOLE_USER = "pgbouncer_admin";

export interface Pooler {
  host: string;
  port: number;
  /** The password of the console's role. */
  admin: string;
  /** The folder of its files, with `route.ini` among them; removed at its end. */
  base: string;
  log(): Promise<string>;
  /** Kills it and starts it again on the same port. */
  restart(): Promise<void>;
  /** Lets it stand still, or go on. */
  freeze(on: boolean): Promise<void>;
  stop(): Promise<void>;
}

/** A pooler whose databases stand in `route`; `users` are let in with these passwords. Resolves when it listens. */
export async function startPooler(options: {
  users: Record<string, string>;
  route: string;
  settings?: Record<string, string | number>;
}): Promise<Pooler> {
  const user = ordinaryUser();
  const parent = (await traversable(join(tmpdir(), "x"))) ? tmpdir() : await spareBase(["/tmp"]);
  const base = await mkdtemp(join(parent, "pgdba-pooler-"));
  const port = await freePort();
  const admin = crypto.randomUUID();
  const users = Object.entries({ ...options.users, [CONSOLE_USER]: admin });
  const settings = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_type: "plain",
    auth_file: "users",
    admin_users: CONSOLE_USER,
    pool_mode: "transaction",
    ...options.settings,
  };
  const files: Record<string, string> = {
    users: users.map(([name, password]) => `"${name}" "${password}"\n`).join(""),
    "route.ini": options.route,
    ini: `%include ${join(base, "route.ini")}\n[pgbouncer]\n${Object.entries(settings)
      .map(([name, value]) => `${name} = ${value}\n`)
      .join("")}`,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(base, name), text);
  if (user !== null)
    for (const file of [base, ...Object.keys(files).map((name) => join(base, name))])
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
  const log = () => readFile(join(base, "log"), "utf8");
  const say = async (word: string) => {
    await keeper.stdin.write(`${word}\n`);
    await keeper.stdin.flush();
  };
  const pooler: Pooler = {
    host: "127.0.0.1",
    port,
    admin,
    base,
    log,
    async restart() {
      await say("restart");
      await listens(port, log, 2);
    },
    freeze: (on) => say(on ? "freeze" : "thaw"),
    async stop() {
      await keeper.stdin.end();
      await keeper.exited;
    },
  };
  try {
    await listens(port, log, 1);
  } catch (error) {
    await pooler.stop();
    throw error;
  }
  return pooler;
}

/** Its log says so each time that it has come up. */
async function listens(port: number, log: () => Promise<string>, times: number): Promise<void> {
  for (const ends = performance.now() + 10_000; ; await Bun.sleep(20)) {
    const text = await log().catch(() => "");
    if (text.split("process up: PgBouncer").length > times) return;
    if (performance.now() > ends) throw new Error(`no PgBouncer on port ${port}:\n${text}`);
  }
}

/** The same server behind a pooler with so many connections to each database, for each role. */
export async function startPgbouncer(server: TestServer, connections: number): Promise<TestServer> {
  const pooler = await startPooler({
    users: { [server.user]: server.password },
    route: `[databases]\n* = host=${server.host} port=${server.port}\n`,
    settings: { default_pool_size: connections },
  });
  const pooled: TestServer = { ...server, port: pooler.port, stop: () => pooler.stop() };
  await (await clientOf(pooled)).end();
  return pooled;
}
