import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { clientOf, startServer, type TestServer } from "./postgres.ts";
import { startWriter } from "./writer.ts";

setDefaultTimeout(300_000);
let server: TestServer;
afterAll(() => server?.stop());

test("the writer counts what it has an answer for, what failed and what nobody knows, and finds what was lost", async () => {
  server = await startServer({ settings: { synchronous_commit: "on" } });
  const admin = await clientOf(server);
  const writer = await startWriter({ ...server, connections: 2, restMs: 1 });
  await writer.next();
  const good = writer.report();
  expect(good).toMatchObject({ failed: 0, unknown: 0, refused: 0, failures: [] });
  expect(good.acknowledged).toBeGreaterThan(0);

  // No standby ever answers: COMMIT waits, and a cancel ends the wait with a warning. The row is here and may be lost.
  await admin.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  await admin.query("SELECT pg_reload_conf()");
  const waits = async () => {
    const { rows } = await admin.query(
      "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'",
    );
    return rows.map(({ pid }) => pid as number);
  };
  let pids = await waits();
  while (pids.length < 2) pids = await waits();
  const before = writer.report();
  await admin.query("SELECT pg_cancel_backend($1)", [pids[0]]);
  while (writer.report().unknown === before.unknown) await Bun.sleep(5);
  expect(writer.report().failures.at(-1)).toMatchObject({ what: "unknown" });
  expect(writer.report().acknowledged).toBe(before.acknowledged);

  // The connection breaks while COMMIT is under way: of both, so that both wait again first.
  while ((await waits()).length < 2);
  await admin.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
  );
  while (writer.report().unknown < before.unknown + 3) await Bun.sleep(5);
  const gap = writer.now();
  await admin.query("ALTER SYSTEM RESET synchronous_standby_names");
  await admin.query("SELECT pg_reload_conf()");
  await writer.next();
  expect(writer.report().longestGapMs).toBeGreaterThan(0);
  expect(writer.report(gap).acknowledged).toBeGreaterThan(0);

  // A row that the server refuses failed, and is no ghost as long as it is not there.
  await admin.query("ALTER TABLE pgdba_writes ADD CONSTRAINT none CHECK (false) NOT VALID");
  while (writer.report().failed === 0) await Bun.sleep(5);
  await admin.query("ALTER TABLE pgdba_writes DROP CONSTRAINT none");
  await writer.next();
  const all = await writer.stop();
  expect(all.refused).toBe(0);
  expect(await writer.check(admin)).toEqual({ lost: [], ghosts: [] });
  await admin.query("DELETE FROM pgdba_writes WHERE id = 1");
  await admin.query("INSERT INTO pgdba_writes VALUES (1000000000)");
  expect(await writer.check(admin)).toEqual({ lost: [1], ghosts: [1_000_000_000] });
  await admin.end();
});
