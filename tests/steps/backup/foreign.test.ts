import { afterAll, beforeAll, expect, test } from "bun:test";
import { chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ordinaryUser } from "../../../providers/nodes/embedded/user.ts";
import foreign from "../../../steps/backup/foreign.ts";
import { startServer, type TestServer } from "../../support/postgres.ts";
import { type Bench, bench, runStep } from "./support.ts";

const there = Bun.which("pgbackrest") !== null;
const required = (process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("pgbackrest");
const skip = !there && !required;
let server: TestServer;
let at: Bench;
let folder: string;
const user = ordinaryUser();

/** Runs pgBackRest as the server's user, as its cron would. */
function pgbackrest(...args: string[]): void {
  const ran = Bun.spawnSync(
    ["pgbackrest", `--config=${join(folder, "conf")}`, "--stanza=main", ...args],
    {
      ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
      cwd: "/",
      env: { PATH: process.env["PATH"]!, PGPASSWORD: server.password, PGUSER: "postgres" },
    },
  );
  if (ran.exitCode !== 0) throw new Error(`${ran.stdout}${ran.stderr}`);
}

beforeAll(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), "pgdba-pgbr-"));
  for (const name of ["repo", "log", "lock", "spool"]) await mkdir(join(folder, name));
  if (user !== null)
    for (const name of ["", "repo", "log", "lock", "spool"])
      await chown(join(folder, name), user.uid, user.gid);
  const command = `pgbackrest --config=${join(folder, "conf")} --stanza=main archive-push %p`;
  server = await startServer({
    version: 15,
    settings: { archive_mode: "on", archive_command: command },
  });
  await writeFile(
    join(folder, "conf"),
    `[global]
repo1-path=${join(folder, "repo")}
log-path=${join(folder, "log")}
lock-path=${join(folder, "lock")}
spool-path=${join(folder, "spool")}
start-fast=y
[main]
pg1-path=${server.dataDir}
pg1-port=${server.port}
pg1-socket-path=${server.socketDir}
`,
    { mode: 0o644 },
  );
  pgbackrest("stanza-create");
  pgbackrest("backup", "--type=full");
  pgbackrest("backup", "--type=incr");
  at = await bench(server);
}, 300_000);

afterAll(async () => {
  if (skip) return;
  await at.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A context in whose environment pgBackRest finds the configuration. */
const context = (more: Record<string, string> = {}) => {
  const plain = at.run();
  const env = { PGBACKREST_CONFIG: join(folder, "conf"), ...more };
  return at.run({
    spawn: (argv, options) => plain.spawn(argv, { ...options, env: { ...env, ...options?.env } }),
  });
};

test.skipIf(skip)(
  "backups of pgBackRest are seen, as it tells them",
  async () => {
    const seen = await runStep(foreign, {}, context());
    expect(seen.problems).toEqual([]);
    expect(seen.tools).toMatchObject([{ tool: "pgBackRest", where: "on this machine" }]);
    expect(seen.backups).toMatchObject([
      { set: "main", type: "incremental", parent: seen.backups[1].id, error: false },
      { set: "main", type: "full", parent: null, error: false },
    ]);
    expect(seen.backups[0].wal_start).toMatch(/^[0-9A-F]{24}$/);
    expect(seen.backups[1].bytes).toBeGreaterThan(1_000_000);
    expect(seen.newest_at).toBe(seen.backups[0].finished_at);
  },
  60_000,
);

test.skipIf(skip)(
  "those of another cluster are not this one's, and a tool that can't tell is a problem",
  async () => {
    const { facts } = at.run().target;
    const other = at.run();
    const elsewhere = {
      ...context(),
      target: {
        ...other.target,
        facts: async () => ({ ...(await facts()), identity: "7000000000000000001" }),
      },
    };
    expect(await runStep(foreign, {}, elsewhere as never)).toMatchObject({
      backups: [],
      newest_at: null,
      problems: [],
    });
    const broken = await runStep(foreign, {}, context({ PGBACKREST_REPO1_PATH: "relative" }));
    expect(broken.problems).toHaveLength(1);
    expect(broken.problems[0]).toContain("pgbackrest info failed");
  },
  60_000,
);
