import { beforeAll, describe, expect, test } from "bun:test";
import write from "../../../steps/pgbouncer/write.ts";
import { pgbouncerMissing } from "../../support/pgbouncer.ts";
import { clientOf } from "../../support/postgres.ts";
import { type Followed, onPooler, sharedFollowed } from "./support.ts";

describe.skipIf(pgbouncerMissing() !== null)("pgbouncer.write", () => {
  let at: Followed;
  beforeAll(async () => {
    at = await sharedFollowed();
  }, 300_000);

  test("what it wrote is in the WAL of the primary, and in no table", async () => {
    const client = await clientOf(at.members[0].server);
    const lsn = async () =>
      (await client.query("SELECT pg_current_wal_lsn()::text AS lsn")).rows[0].lsn as string;
    const before = await lsn();
    const context = onPooler(at, "change");
    expect(await write.plan!(context, {})).toEqual({ would_write_through: ["pool1"] });
    expect(await lsn()).toBe(before);
    const { writes } = (await write.run(context, {})) as { writes: any[] };
    expect(writes).toEqual([
      { instance: "pool1", lsn: expect.any(String), ms: expect.any(Number) },
    ]);
    const { rows } = await client.query("SELECT $1::pg_lsn > $2::pg_lsn AS after", [
      writes[0].lsn,
      before,
    ]);
    await client.end();
    expect(rows[0].after).toBe(true);
  });

  test("a step that reads may not, and one that nobody listens at is told", async () => {
    const reads = write.run(onPooler(at, "read"), {});
    await expect(reads).rejects.toMatchObject({ code: "step_refused", nothingDone: true });
    await expect(write.run(onPooler(at, "change"), { instances: ["none"] })).rejects.toMatchObject({
      code: "invalid_param",
    });
  });
});
