import { beforeAll, describe, expect, test } from "bun:test";
import { SHOWS } from "../../../providers/pgbouncer/client.ts";
import show from "../../../steps/pgbouncer/show.ts";
import { pgbouncerMissing } from "../../support/pgbouncer.ts";
import { type Followed, onPooler, sharedFollowed } from "./support.ts";

describe.skipIf(pgbouncerMissing() !== null)("pgbouncer.show", () => {
  let at: Followed;
  beforeAll(async () => {
    at = await sharedFollowed();
  }, 300_000);

  test("gives the rows of every table, each with its PgBouncer, and 64-bit counts as numbers", async () => {
    const client = await at.client();
    await client.query("SELECT 1");
    const context = onPooler(at, "read", { pool2: undefined });
    for (const what of SHOWS) {
      const { rows } = (await show.run(context, { what })) as { rows: Record<string, unknown>[] };
      if (what === "version")
        expect(
          rows.map(({ instance, version }) => [instance, String(version).slice(0, 9)]),
        ).toEqual([
          ["pool1", "PgBouncer"],
          ["pool2", "PgBouncer"],
        ]);
      if (what === "stats") {
        const all = rows.find(({ database }) => database === "postgres");
        expect(all?.["total_query_count"]).toBeNumber();
      }
    }
    const { rows } = (await show.run(context, { what: "pools", instances: ["pool2"] })) as any;
    expect(rows).toContainEqual(
      expect.objectContaining({ instance: "pool2", database: "postgres", cl_active: 1 }),
    );
    await client.end();
  });

  test("the access knows no other tables, and no other PgBouncers", async () => {
    const pgbouncer = await onPooler(at, "read").use("pgbouncer");
    for (const asked of [
      pgbouncer.show("pool1", "pools; SHUTDOWN"),
      pgbouncer.show("pool3", "pools"),
    ])
      expect(await asked.catch((error: unknown) => error)).toMatchObject({ code: "invalid_param" });
  });
});
