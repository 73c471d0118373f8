import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { autoConf } from "../../steps/config/server.ts";
import { clientOf, reload, RELOAD, startServer, type TestServer } from "../../support/postgres.ts";
import { pgdba } from "./cli.ts";

const PRELOAD = join(import.meta.dir, "driver.ts");
const OLD = ["work_mem = '7MB'", `search_path = '"a b", public'`];
const WANTED = { work_mem: "8MB", search_path: "public", random_page_cost: 2 };
const NEW = ["random_page_cost = '2'", "search_path = 'public'", "work_mem = '8MB'"];

let server: TestServer;
let root: string;
beforeAll(async () => {
  server = await startServer();
  root = await mkdtemp(join(tmpdir(), "pgdba-config-"));
});
afterAll(async () => {
  await server.stop();
  await rm(root, { recursive: true, force: true });
});

async function sql(...statements: string[]): Promise<any[]> {
  const client = await clientOf(server);
  let rows: any[] = [];
  for (const statement of statements)
    if (statement === RELOAD) await reload(client);
    else rows = (await client.query(statement)).rows;
  await client.end();
  return rows;
}

/** A state folder of its own, and the server as it was before. */
async function place(name: string): Promise<Record<string, string>> {
  await sql(
    "ALTER SYSTEM RESET ALL",
    "ALTER SYSTEM SET work_mem = '7MB'",
    "ALTER SYSTEM SET search_path = 'a b', 'public'",
    RELOAD,
  );
  const { host, port, user, database, password } = server;
  return {
    PGDBA_HOME: await mkdtemp(join(root, `${name}-`)),
    PGDBA_PG_HOST: host,
    PGDBA_PG_PORT: String(port),
    PGDBA_PG_USER: user,
    PGDBA_PG_DATABASE: database,
    PGDBA_PG_PASSWORD: password,
  };
}

async function state(): Promise<unknown> {
  const [row] = await sql(
    "SELECT current_setting('work_mem') AS a, current_setting('search_path') AS b, current_setting('random_page_cost') AS c",
  );
  return [(await autoConf(server)).toSorted(), Object.values(row)];
}

const OLD_STATE = [OLD.toSorted(), ["7MB", '"a b", public', "4"]];
const NEW_STATE = [NEW, ["8MB", "public", "2"]];
const APPLY = ["config", "apply", "--quiet", "--settings", JSON.stringify(WANTED)];

test("killed before any statement of config apply, resume brings the new state, rollback and giving it up the old one, exactly", async () => {
  let points = 0;
  for (let killAt = 1; ; killAt++) {
    const env = await place(String(killAt));
    const killed = await pgdba(APPLY, { ...env, KILL_AT: String(killAt) }, PRELOAD);
    if (killed.signal === null) {
      expect([killed.exit, await state()]).toEqual([0, NEW_STATE]);
      break;
    }
    points += 1;
    const [file] = await readdir(join(env.PGDBA_HOME!, "config-before"));
    const id = file!.replace(".json", "");
    const resume = killAt % 3 === 1;
    const ways = [
      ["resume", id, "--give-up"],
      ["resume", id],
      ["config", "rollback", "--run", id],
    ];
    const after = await pgdba([...ways[killAt % 3]!, "--quiet"], env);
    const error = after.envelope?.error?.code ?? null;
    const givenUp = killAt % 3 === 0;
    expect([killAt, after.exit, error]).toEqual(
      givenUp ? [killAt, 130, "interrupted"] : [killAt, 0, null],
    );
    expect([killAt, await state()]).toEqual([killAt, resume ? NEW_STATE : OLD_STATE]);
    // A run that was resumed to its end can be taken back as well.
    if (killAt !== 4) continue;
    const back = await pgdba(["config", "rollback", "--quiet", id], env);
    expect([back.exit, await state()]).toEqual([0, OLD_STATE]);
  }
  expect(points).toBeGreaterThanOrEqual(8);
}, 300_000);

test("a run that was taken back, or whose settings others have changed, is not gone on with", async () => {
  const cut = async (name: string) => {
    const env = await place(name);
    // Between the first value and the last.
    await pgdba(APPLY, { ...env, KILL_AT: "9" }, PRELOAD);
    const [file] = await readdir(join(env.PGDBA_HOME!, "config-before"));
    return { env, id: file!.replace(".json", "") };
  };
  const one = await cut("taken-back");
  const back = await pgdba(["config", "rollback", "--quiet", "--run", one.id], one.env);
  expect(back.exit).toBe(0);
  expect(back.envelope.data.run.warnings.join()).toContain(
    `pgdba resume ${one.id}\`, or back with \`pgdba config rollback --run ${one.id} --host 127.0.0.1`,
  );
  const refused = await pgdba(["resume", one.id, "--quiet"], one.env);
  expect([refused.exit, refused.envelope.error.code]).toEqual([1, "step_refused"]);
  expect(refused.envelope.error.message).toContain(`put back by ${back.envelope.data.run.id}`);
  expect(await state()).toEqual(OLD_STATE);

  const other = await cut("changed-since");
  await sql("ALTER SYSTEM SET work_mem = '77MB'", RELOAD);
  const changed = await pgdba(["resume", other.id, "--quiet"], other.env);
  expect([changed.exit, changed.envelope.error.code]).toEqual([1, "step_refused"]);
  expect(changed.envelope.error.message).toMatch(/somebody else has changed work_mem$/);
  expect(await autoConf(server)).toContain("work_mem = '77MB'");
}, 300_000);

test("a run that fails after it changed settings leaves them as they were, and says so", async () => {
  const env = await place("fails");
  const failed = await pgdba(
    [
      "config",
      "apply",
      "--quiet",
      "--settings",
      '{"work_mem":"8MB","synchronous_standby_names":"ANY ((("}',
    ],
    env,
  );
  expect([failed.exit, failed.envelope.error.run.status]).toEqual([5, "undone"]);
  expect(await state()).toEqual(OLD_STATE);
}, 300_000);

test("a run that never came to change anything has failed, and is not undone", async () => {
  const env = await place("untouched");
  await sql("CREATE ROLE bob LOGIN PASSWORD 'pw'", "GRANT pg_read_all_settings TO bob");
  const asBob = { ...env, PGDBA_PG_USER: "bob", PGDBA_PG_PASSWORD: "pw" };
  const cases: [string[], Record<string, string>][] = [
    [["--file", "nosuch.conf"], env],
    [["--file", "/etc"], env],
    [["--settings", '{"work_mem":"8MB"}'], asBob],
  ];
  for (const [flags, as] of cases) {
    const failed = await pgdba(["config", "apply", "--quiet", ...flags], as);
    expect([failed.exit, failed.envelope.error.run.status]).toEqual([1, "failed"]);
  }
  expect(await state()).toEqual(OLD_STATE);
}, 300_000);

test("a secret among --settings is refused before there is a run; from a file it is nowhere in clear but in the server", async () => {
  const env = await place("secret");
  const secret = "hunter2-swordfish";
  const values: [string, unknown][] = [
    ["primary_conninfo", `host=a user=b password=${secret}`],
    ["primary_conninfo", { value: `host=a sslpassword='${secret}'` }],
    ["primary_conninfo", `postgresql://b:${secret}@a/x`],
    ["archive_command", `PGPASSWORD=${secret} cp %p /a/%f`],
    ["archive_command", `curl --password ${secret} -T %p http://a/%f`],
    ["archive_command", `curl -u me:${secret} -T %p http://a/%f`],
    ["ssl_passphrase_command", `echo ${secret}`],
  ];
  for (const [name, value] of values)
    for (const runbook of ["apply", "apply-restart"]) {
      const refused = await pgdba(
        ["config", runbook, "--quiet", "--settings", JSON.stringify({ [name]: value })],
        env,
      );
      expect([name, refused.exit, refused.envelope.error.code]).toEqual([name, 2, "invalid_param"]);
      expect(refused.envelope.error.message).toContain("--file");
      expect(JSON.stringify(refused)).not.toContain(secret);
    }
  expect((await pgdba(["runs"], env)).envelope.data.runs ?? []).toEqual([]);

  const file = join(env.PGDBA_HOME!, "wanted.conf");
  await writeFile(
    file,
    `primary_conninfo = 'host=a password=${secret}'\nssl_passphrase_command = 'echo ${secret}2'\nwork_mem = 9MB\n`,
  );
  const done = await pgdba(["config", "apply", "--quiet", "--file", file], env);
  expect([done.exit, done.envelope.error]).toEqual([0, null]);
  const id = done.envelope.data.run.id;
  expect(JSON.stringify(done)).not.toContain(secret);
  expect(JSON.stringify(await pgdba(["runs", id], env))).not.toContain(secret);
  await rm(file);
  const kept = await Promise.all(
    (await readdir(env.PGDBA_HOME!, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => readFile(join(entry.parentPath, entry.name), "latin1")),
  );
  expect(kept.length).toBeGreaterThan(1);
  expect(kept.filter((text) => text.includes(secret))).toEqual([]);
  const back = await pgdba(["config", "rollback", "--quiet", id], env);
  expect([back.exit, await state()]).toEqual([0, OLD_STATE]);
}, 300_000);

test("config tune, diff, show and apply --from-tune work together on a server", async () => {
  const env = await place("tune");
  const flags = ["--workload", "oltp", "--memory", "2GB", "--cpus", "2", "--quiet"];
  const tuned = await pgdba(["config", "tune", ...flags], env);
  expect(tuned.envelope.data.inputs.pg_version).toEqual({ value: 18, source: "detected" });
  expect(tuned.envelope.data.settings.shared_buffers.value).toBe("512MB");

  const diff = await pgdba(["config", "diff", ...flags], env);
  expect(diff.envelope.data.differences[0].importance).toBe("high");
  expect(diff.envelope.data.differences.at(-1).importance).toBe("low");

  const planned = await pgdba(["config", "apply", "--from-tune", ...flags, "--plan"], env);
  expect(planned.envelope.data.run.status).toBe("planned");
  expect(await state()).toEqual(OLD_STATE);

  const applied = await pgdba(["config", "apply", "--from-tune", ...flags], env);
  expect([applied.exit, applied.envelope.error]).toEqual([0, null]);
  expect(applied.envelope.data.awaiting_restart).toContain("shared_buffers");
  const left = await pgdba(["config", "diff", ...flags], env);
  expect(left.envelope.data.differences.map((one: any) => one.takes_effect)).toEqual(
    applied.envelope.data.awaiting_restart.map(() => "restart"),
  );

  const without = await pgdba(["config", "apply", "--from-tune", "--quiet"], env);
  expect(without.envelope.error.message).toContain("--workload");
  const restart = await pgdba(
    ["config", "apply-restart", "--settings", "{}", "--yes", "--quiet"],
    env,
  );
  expect([restart.exit, restart.envelope.error.code]).toEqual([3, "capability_missing"]);
}, 300_000);
