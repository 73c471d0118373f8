import { afterAll, beforeAll, expect, test, setDefaultTimeout } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { Client } from "pg";
import type { JsonObject } from "../../engine/types.ts";
import { clientOf, type TestServer } from "../support/postgres.ts";
import { clusterFile, sharedServer } from "./server.ts";
import {
  at,
  cli,
  type Env,
  type Place,
  place,
  removePlaces,
  runbooks,
  runId,
  Running,
} from "./support.ts";

setDefaultTimeout(300_000);

let server: TestServer;
let env: Env;
let db: Client;
/** A server that takes a request and hangs up, and one that speaks no TLS. */
const rude: Server = createServer((socket) => socket.once("data", () => socket.destroy()));
const plain: Server = createServer((socket) => socket.end("HTTP/1.0 400 no\r\n\r\n"));
const portOf = (one: Server) => (one.address() as { port: number }).port;
beforeAll(async () => {
  server = await sharedServer();
  env = { CLUSTER_PASSWORD: server.password };
  db = await clientOf(server);
  await db.query(`
    CREATE TABLE kept (n int UNIQUE, m int UNIQUE DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO kept VALUES (1, 1);
    CREATE TABLE twice AS SELECT 1 AS n FROM generate_series(1, 2);
    CREATE TABLE account AS SELECT 1000 AS balance;
    CREATE PROCEDURE half() LANGUAGE plpgsql AS
      'BEGIN INSERT INTO kept VALUES (99, 99); COMMIT; RAISE EXCEPTION ''after the commit''; END';
    CREATE PROCEDURE pay(amount int, seconds float8) LANGUAGE plpgsql AS
      'BEGIN UPDATE account SET balance = balance + amount; COMMIT; PERFORM pg_sleep(seconds); END';`);
  for (const one of [rude, plain])
    await new Promise<void>((done) => one.listen(0, "127.0.0.1", done));
});
afterAll(async () => {
  rude.close();
  plain.close();
  await db.query("DROP TABLE kept, twice, account; DROP PROCEDURE half, pay");
  await db.end();
  removePlaces();
});

function here(texts: Record<string, string>): Place {
  return place({
    "home/clusters/orders.yaml": clusterFile(server, "managed"),
    ...runbooks(texts),
  });
}

const notes = (p: Place) =>
  existsSync(join(p.cwd, "notes"))
    ? readFileSync(join(p.cwd, "notes"), "utf8").trim().split("\n")
    : [];

/** Steps that fail, as `[id, step, whether it may have acted]`. */
const failing = (): [string, JsonObject, boolean][] => [
  ["duplicate", { "sql.execute": { sql: "insert into kept values (1, 5)" } }, false],
  ["deferred", { "sql.execute": { sql: "insert into kept values (6, 1)" } }, false],
  ["late", { "sql.execute": { sql: "select pg_sleep(60)", timeout: "100ms" } }, false],
  ["aborted", { timeout: "300ms", "sql.execute": { sql: "select pg_sleep(60)" } }, false],
  ["no_table", { "sql.execute": { sql: "insert into nowhere values (1)" } }, false],
  ["two", { "sql.execute": { sql: "select 1; select 2" } }, false],
  ["begins", { "sql.execute": { sql: "begin", transaction: false } }, false],
  ["syntax", { "sql.execute": { sql: "vacuum nowhere at all", transaction: false } }, false],
  [
    "invalid_index",
    {
      "sql.execute": {
        sql: "create unique index concurrently twice_n on twice (n)",
        transaction: false,
      },
    },
    true,
  ],
  ["half", { "sql.execute": { sql: "call half()", transaction: false } }, true],
  ["not_found", { exec: { argv: ["no-such-program"] } }, false],
  ["no_folder", { exec: { argv: ["true"], cwd: "/no/such/folder" } }, false],
  ["exit_code", { exec: { argv: ["false"] } }, true],
  ["script", { shell: { script: "exit 3" } }, true],
  ["refused", { "http.request": { method: "POST", url: "http://127.0.0.1:1/" } }, false],
  [
    "no_tls",
    { "http.request": { method: "POST", url: `https://127.0.0.1:${portOf(plain)}/` } },
    false,
  ],
  [
    "hung_up",
    { "http.request": { method: "POST", url: `http://127.0.0.1:${portOf(rude)}/` } },
    true,
  ],
];

test("what is known not to have happened is not taken back, what may have happened in part is", async () => {
  const steps = failing().map(([id, step]) => ({
    id,
    ignore_error: true,
    ...step,
    undo: [{ id: `undo_${id}`, exec: { argv: ["sh", "-c", `echo ${id} >> notes`] } }],
  }));
  const text = JSON.stringify({
    summary: "s",
    risk: "change",
    needs: ["postgres"],
    steps: [...steps, { id: "end", assert: { that: "1 == 2", message: "the end" } }],
  });
  const p = here({ "t/fails": text });
  const ran = await cli(["t", "fails", "--cluster", "orders"], p, { env });
  expect(ran.envelope.error).toMatchObject({ code: "assertion_failed", step: "end" });
  const shown = at((await cli(["runs", runId(ran)], p)).envelope, "data", "steps");
  const failed = (shown as { path: string; status: string; error: { code: string } | null }[])
    .filter(({ status }) => status === "failed")
    .map(({ path }) => path);
  expect(failed).toEqual([...failing().map(([id]) => id), "end"]);
  const expected = failing().filter(([, , acted]) => acted);
  expect(notes(p)).toEqual(expected.map(([id]) => id).reverse());
  expect(ran.exit).toBe(5);
});

test("a single step that PostgreSQL rolled back: the run failed, and nothing was undone", async () => {
  const p = here({
    "t/one": `summary: s
risk: change
needs: [postgres]
steps:
  - id: pay
    sql.execute: {sql: "insert into kept values (1, 7)"}
    undo: [{sql.execute: {sql: "update account set balance = balance - 1"}}]
`,
  });
  const ran = await cli(["t", "one", "--cluster", "orders"], p, { env });
  expect(ran.exit).toBe(1);
  expect(at(ran.envelope, "error", "run", "status")).toBe("failed");
  expect((await db.query("SELECT balance FROM account")).rows).toEqual([{ balance: 1000 }]);
});

test("kill -9 in a step of an undo that adds money: resume asks, and adds it no second time", async () => {
  const p = here({
    "t/pay": `summary: s
risk: change
needs: [postgres]
steps:
  - id: pay
    sql.execute: {sql: "update account set balance = balance - 100"}
    undo:
      - id: back
        sql.execute: {sql: "call pay(100, 60)", transaction: false}
      - id: note
        exec: {argv: [sh, -c, 'echo noted >> notes']}
  - id: end
    assert: {that: "1 == 2", message: the end}
`,
  });
  const balance = async () =>
    ((await db.query("SELECT balance FROM account")).rows[0] as { balance: number }).balance;
  const child = new Running(["t", "pay", "--cluster", "orders"], p, { env });
  await child.said("start pay~undo/back");
  while ((await balance()) !== 1000) await Bun.sleep(10);
  child.signal("SIGKILL");
  await child.ended();
  // The server notices that nobody is there only when it has something to say.
  await db.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'call pay(%'",
  );
  const id = String(at((await cli(["runs"], p)).envelope, "data", "runs", 0, "id"));
  for (const _ of ["once", "and again"]) {
    const asked = await cli(["resume", id], p, { env });
    expect(asked.exit).toBe(6);
    expect(asked.envelope.error).toMatchObject({
      code: "needs_operator",
      step: "pay~undo/back",
      hint: expect.stringContaining(`pgdba resume ${id} --assume pay~undo/back=done`),
    });
    expect(at(asked.envelope, "error", "where", "line")).toBe(8);
  }
  expect(await balance()).toBe(1000);
  expect(notes(p)).toEqual([]);

  const wrong = await cli(["resume", id, "--assume", "pay~undo/bck=done"], p, { env });
  expect(wrong.exit).toBe(2);
  expect(wrong.envelope.error?.hint).toContain("Did you mean pay~undo/back?");

  const done = await cli(["resume", id, "--assume", "pay~undo/back=done"], p, { env });
  expect(done.exit).toBe(5);
  expect(done.envelope.error).toMatchObject({
    code: "assertion_failed",
    step: "end",
    where: { line: 12 },
  });
  expect(await balance()).toBe(1000);
  expect(notes(p)).toEqual(["noted"]);
  const shown = (await cli(["runs", id], p)).envelope;
  expect(at(shown, "data", "answers")).toMatchObject([{ path: "pay~undo/back", said: "done" }]);

  const late = await cli(["resume", id, "--assume", "pay~undo/back=done"], p, { env });
  expect(late.exit).toBe(2);
  expect(late.envelope.error?.message).toContain("nothing to resume");
});
