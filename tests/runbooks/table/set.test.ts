import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { clientOf } from "../../support/postgres.ts";
import { type Bench, bench, PLACES } from "../maintenance/support.ts";

setDefaultTimeout(300_000);

const KILL = join(import.meta.dir, "../../support/kill-at.ts");

describe.each(PLACES)("on PostgreSQL $name", ({ start }) => {
  let on: Bench;
  beforeAll(async () => {
    on = await bench(start);
    await on.client.query('CREATE TABLE "Orders" (a int, b text) WITH (fillfactor = 70)');
  });
  afterAll(() => on?.stop());
  const own = async (): Promise<string[]> =>
    (
      await on.rows(
        "SELECT unnest(reloptions) AS one FROM pg_class WHERE relname = 'Orders' ORDER BY 1",
      )
    ).map(({ one }) => one);
  const set = (settings: object, ...more: string[]) => [
    "table",
    "set",
    '"Orders"',
    "--settings",
    JSON.stringify(settings),
    ...more,
  ];

  test("sets and takes out, tells the old values, and changes nothing twice", async () => {
    const done = await on.pgdba(set({ autovacuum_vacuum_scale_factor: 0.02, fillfactor: null }));
    expect(done.envelope.data.changes).toEqual([
      { name: "autovacuum_vacuum_scale_factor", before: null, after: "0.02" },
      { name: "fillfactor", before: "70", after: null },
    ]);
    expect(await own()).toEqual(["autovacuum_vacuum_scale_factor=0.02"]);
    const again = await on.pgdba(set({ autovacuum_vacuum_scale_factor: 0.02 }));
    expect(again.envelope.data.changes).toEqual([]);
    expect(again.envelope.data.run.steps[0].changed).toBe(false);
  });

  test("what the server does not take is refused, and a lock that is not had makes nobody wait", async () => {
    const wrong = await on.pgdba(set({ "fillfactor = 1); drop table x": 1 }));
    expect(wrong.envelope.error.code).toBe("invalid_param");
    const unknown = await on.pgdba(set({ nonsense: 1 }));
    expect(unknown.envelope.error.data.sqlstate).toBe("22023");
    const other = await clientOf(on.server);
    await other.query('BEGIN; LOCK TABLE "Orders" IN SHARE UPDATE EXCLUSIVE MODE');
    const locked = await on.pgdba(set({ fillfactor: 90 }, "--lock-timeout", "200ms"));
    await other.query("ROLLBACK");
    await other.end();
    expect(locked.envelope.error.data.sqlstate).toBe("55P03");
    expect(await own()).toEqual(["autovacuum_vacuum_scale_factor=0.02"]);
  });

  test("killed before it is on record, resume ends it; what fails later in the run puts the old values back", async () => {
    const killed = await on.pgdba(set({ fillfactor: 80 }), { KILL_AT: "acted set" }, KILL);
    expect(killed.signal).toBe("SIGKILL");
    const [{ id }] = (await on.pgdba(["runs"])).envelope.data.runs;
    const resumed = await on.pgdba(["resume", id]);
    expect(resumed.envelope.data.changes).toEqual([
      { name: "fillfactor", before: null, after: "80" },
    ]);
    const before = await own();
    expect(before).toEqual(["autovacuum_vacuum_scale_factor=0.02", "fillfactor=80"]);
    const folder = join(on.home, "runbooks/team");
    await mkdir(folder, { recursive: true });
    await writeFile(
      join(folder, "fails.yaml"),
      `summary: Fails after it has set something.
risk: change
steps:
  - run: {runbook: table/set, params: {table: '"Orders"', settings: {fillfactor: 50, autovacuum_enabled: false}}}
  - assert: {that: "target.name == 'nobody'", message: It fails}
`,
    );
    const failed = await on.pgdba(["run", "team/fails"]);
    expect(failed.exit).toBe(5);
    expect(await own()).toEqual(before);
  });

  test("a TOAST table has its own", async () => {
    const done = await on.pgdba(set({ autovacuum_enabled: false }, "--toast"));
    expect(done.envelope.error).toBeNull();
    const [row] = await on.rows(
      `SELECT t.reloptions FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.relname = 'Orders'`,
    );
    expect(row.reloptions).toEqual(["autovacuum_enabled=false"]);
  });
});
