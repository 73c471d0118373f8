import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Target } from "../../../engine/types.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import { type Harness, withHarness } from "../../engine/run/harness.ts";
import { cloneInto } from "../../support/standby.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { accessFor, postgresOf, through } from "../../support/target.ts";
import { codeOf } from "../postgres/helpers.ts";

setDefaultTimeout(300_000);

const dir = mkdtempSync(join(tmpdir(), "pgdba-leader-"));
const open: Target[] = [];
const clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  sleep: (ms: number) => Bun.sleep(ms),
};
let primary: TestServer;
let standby: TestServer;

beforeAll(async () => {
  primary = await startServer();
  await ask(primary, "CREATE TABLE notes (word text)");
  const copy = await startServer({ prepare: (dataDir) => cloneInto(dataDir, primary) });
  standby = { ...copy, password: primary.password };
}, 300_000);
afterAll(async () => {
  for (const target of open) await target.close();
  await Promise.all([primary.stop(), standby.stop()]);
  rmSync(dir, { recursive: true });
});

async function ask(server: TestServer, sql: string, values: unknown[] = []): Promise<any[]> {
  const client = await clientOf(server);
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end();
  }
}

function register(name: string, nodes: TestServer[], more = ""): void {
  mkdirSync(join(dir, "clusters"), { recursive: true });
  const lines = nodes.map(
    ({ host, port }, at) =>
      `  - {name: n${at}, roles: [postgres], address: {host: ${host}, port: ${port}}}`,
  );
  writeFileSync(
    join(dir, "clusters", `${name}.yaml`),
    `ownership: connected
postgres: {host: ${primary.host}, port: ${primary.port}, user: postgres, password_env: PW, sslmode: disable}
${nodes.length === 0 ? "" : `nodes:\n${lines.join("\n")}\n`}${more}`,
  );
}

async function cluster(name: string): Promise<Target> {
  const target = await resolveTarget({
    flags: { cluster: name },
    env: { PW: primary.password },
    stateDir: dir,
    onSecret: () => {},
  });
  open.push(target);
  return target;
}

/** Ends the backend of the run as somebody else would. */
async function killSession(server: TestServer): Promise<void> {
  await ask(
    server,
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgdba/%'",
  );
}

const STEPS = `needs: [postgres]
steps:
  - id: first
    sql.execute: {sql: "INSERT INTO notes VALUES ('first')"}
    undo: [{sql.execute: {sql: "DELETE FROM notes WHERE word = 'first'"}}]
  - {id: cut, fake.free: {}}
  - id: second
    sql.execute: {sql: "INSERT INTO notes VALUES ('second')"}
    undo: [{sql.execute: {sql: "DELETE FROM notes WHERE word = 'second'"}}]
`;
const FAILING = `${STEPS}  - {id: last, sql.execute: {sql: "SELECT 1 / 0"}}\n`;

async function words(server: TestServer): Promise<string[]> {
  return (await ask(server, "SELECT word FROM notes ORDER BY word")).map(({ word }) => word);
}

async function run(h: Harness, text: string, target: Target) {
  return h.run(text, { target: through(target), clock });
}

test("a run whose session is ended in the middle goes on with another, and holds its lock", () =>
  withHarness(async (h) => {
    await ask(primary, "TRUNCATE notes");
    register("alone", []);
    const other = await cluster("alone");
    const lockedBy: unknown[] = [];
    h.on = {
      cut: async () => (await killSession(primary), null),
      held: async () => (lockedBy.push(await other.lock!("another run")), null),
    };
    const ran = await run(h, `${STEPS}  - {id: held, fake.free: {}}\n`, await cluster("alone"));
    expect([ran.exit, ran.error]).toEqual([0, null]);
    expect(await words(primary)).toEqual(["first", "second"]);
    expect(lockedBy).toEqual([
      { heldBy: expect.stringContaining(ran.run["id"] as string), word: expect.any(String) },
    ]);
  }));

/** A cluster of which only the standby answers, until its primary "comes". */
async function headless(name: string) {
  // Nobody listens there yet: it is free, and taken later.
  const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = free;
  free.stop(true);
  register(name, [standby, { ...primary, host: "127.0.0.1", port }]);
  const file = join(dir, "clusters", `${name}.yaml`);
  const at = `{host: ${primary.host}, port: ${primary.port}, user`;
  const text = await Bun.file(file).text();
  writeFileSync(file, text.replace(at, `{host: ${standby.host}, port: ${standby.port}, user`));
  const door = createServer((client) => {
    const server = connect(primary.port, primary.host);
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) socket.on("error", () => client.destroy());
  });
  const comes = () => new Promise<void>((done) => door.listen(port, "127.0.0.1", done));
  return { target: await cluster(name), comes, close: () => door.close() };
}

test("a run that began with a standby goes on with the primary that has come since", async () => {
  const { target, comes, close } = await headless("late");
  const { session } = await postgresOf(target);
  const first = await session();
  const elsewhere = await session("template1");
  expect([first.info.standby, elsewhere.info.standby]).toEqual([true, true]);
  await comes();
  // A run that only works in another database looks as well.
  let now = await session("template1");
  while (now.info.standby) {
    await Bun.sleep(100);
    now = await session("template1");
  }
  expect((await session()).info.standby).toBe(false);
  // Another step may be at work by the first ones.
  expect([first.alive(), elsewhere.alive()]).toEqual([true, true]);
  await target.close();
  expect([first.alive(), elsewhere.alive()]).toEqual([false, false]);
  close();
});

test("a step that needs the primary waits for it, where the run began with a standby", async () => {
  const { target, comes, close } = await headless("waited");
  expect((await (await postgresOf(target)).session()).info.standby).toBe(true);
  const needy = await postgresOf(target, { ...accessFor(), needs: ["postgres", "primary"] });
  const waiting = needy.session("template1");
  expect(await Promise.race([waiting, Bun.sleep(500)])).toBeUndefined();
  await comes();
  expect((await waiting).info.standby).toBe(false);
  expect((await needy.session()).info.standby).toBe(false);
  await target.close();
  close();
});

test("and when a later change fails, all of it is taken back", () =>
  withHarness(async (h) => {
    await ask(primary, "TRUNCATE notes");
    register("alone", []);
    h.on = { cut: async () => (await killSession(primary), null) };
    const ran = await run(h, FAILING, await cluster("alone"));
    expect([ran.exit, ran.error?.code, ran.error?.step]).toEqual([5, "query_failed", "last"]);
    expect(await words(primary)).toEqual([]);
  }));

test("the undo runs when the session is ended at its very beginning", () =>
  withHarness(async (h) => {
    await ask(primary, "TRUNCATE notes");
    register("alone", []);
    h.on = {
      cut: async () => {
        await killSession(primary);
        throw new Error("and then this");
      },
    };
    const ran = await run(h, STEPS, await cluster("alone"));
    expect([ran.exit, ran.error?.step]).toEqual([5, "cut"]);
    expect(await words(primary)).toEqual([]);
  }));

test("a session that is ended within a statement is the step's own error, and what was done before is taken back", () =>
  withHarness(async (h) => {
    await ask(primary, "TRUNCATE notes");
    register("alone", []);
    const killing = setInterval(
      () =>
        void ask(
          primary,
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgdba/%' AND query LIKE '%pg_sleep(50)%'",
        ),
      100,
    );
    try {
      const text = STEPS.replace("INSERT INTO notes VALUES ('second')", "SELECT pg_sleep(50)");
      const ran = await run(h, text, await cluster("alone"));
      expect([ran.error?.code, ran.error?.step]).toEqual(["connection_failed", "second"]);
      expect(await words(primary)).toEqual([]);
    } finally {
      clearInterval(killing);
    }
  }));

test("another holder ends the run: nothing is done, and nothing taken back", () =>
  withHarness(async (h) => {
    await ask(primary, "TRUNCATE notes");
    register("alone", []);
    const other = await cluster("alone");
    h.on = {
      cut: async () => {
        await killSession(primary);
        let taken = await other.lock!("another run");
        for (
          const ends = performance.now() + 20_000;
          "heldBy" in taken && performance.now() < ends;
        ) {
          await Bun.sleep(10);
          taken = await other.lock!("another run");
        }
        return null;
      },
    };
    const ran = await run(h, STEPS, await cluster("alone"));
    expect([ran.exit, ran.error?.code]).toEqual([6, "lock_lost"]);
    expect(await words(primary)).toEqual(["first"]);
    await other.close();
  }));

test("what is read from a standby, because no primary answers, is told as such", async () => {
  writeFileSync(
    join(dir, "clusters", "headless.yaml"),
    `ownership: connected
postgres: {host: 127.0.0.1, port: 1, user: postgres, password_env: PW, sslmode: disable}
nodes:
  - {name: n1, roles: [postgres], address: {host: ${standby.host}, port: ${standby.port}}}
`,
  );
  const { state, facts, warnings } = await (await cluster("headless")).facts();
  expect([state, facts["role"]]).toEqual(["up", "standby"]);
  expect(warnings).toEqual([
    expect.stringContaining(`the standby ${standby.host}:${standby.port}`),
  ]);
});

test("the primary dies and the standby is promoted: the run goes on there, on the timeline that goes on", () =>
  withHarness(async (h) => {
    await ask(primary, "TRUNCATE notes");
    register("pair", [primary, standby]);
    const target = await cluster("pair");
    h.on = {
      cut: async () => {
        const [{ lsn }] = await ask(primary, "SELECT pg_current_wal_flush_lsn()::text AS lsn");
        for (;;) {
          const [{ there }] = await ask(
            standby,
            "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS there",
            [lsn],
          );
          if (there) break;
          await Bun.sleep(10);
        }
        await primary.stop();
        // Nobody is the primary for a while.
        setTimeout(() => void ask(standby, "SELECT pg_promote()"), 300);
        return null;
      },
    };
    const ran = await run(h, FAILING, target);
    expect([ran.exit, ran.error?.code, ran.error?.step]).toEqual([5, "query_failed", "last"]);
    expect(await words(standby)).toEqual([]);
    // It was the new leader that did and undid it.
    const now = await cluster("pair");
    expect(await now.facts()).toMatchObject({
      state: "up",
      facts: { role: "primary", port: standby.port },
    });
    expect(ran.ended).toContain("second ok");
  }));

test("a server of another history is not the same one, whatever it is called", async () => {
  register("pair", [primary, standby]);
  const target = await cluster("pair");
  await target.facts();
  const connection = await postgresOf(target);
  const before = await connection.session();
  const { timeline } = (
    await before.query(
      "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS timeline",
    )
  ).rows[0] as { timeline: number };
  expect(timeline).toBe(2);
  const { descends } = await import("../../../providers/target/timeline.ts");
  expect(await descends(before, 1, 2)).toBeNull();
  expect(await descends(before, 3, 2)).toContain("has seen timeline 3");
  expect(await descends(before, 2, 2)).toBeNull();
});

test("a server that stays away is told as what it is", async () => {
  register("gone", []);
  const target = await cluster("gone");
  const { state, why } = await target.facts();
  expect([state, why?.code]).toEqual(["unreachable", "connection_failed"]);
  expect(await codeOf((await postgresOf(target)).session())).toBe("connection_failed");
});
