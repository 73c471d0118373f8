import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "pg";
import { planOf, type PlanNode, waysToAsk } from "../../../providers/twin/plan.ts";
import { nodesOf, openTwin, shapeOfPlan, type Twin } from "../../../providers/twin/twin.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { openSession, type PgSession, specOf } from "../postgres/helpers.ts";
import { STATEMENTS } from "./statements.ts";

let server: TestServer;
let client: Client;
let stateDir: string;
let session: PgSession;
let twin: Twin;
let spare: string;

beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "pgdba-twin-"));
  spare = join(stateDir, "spare");
  server = await startServer({ initdbArgs: ["--locale=C.UTF-8"], settings: { random_page_cost: 1.1, work_mem: "2MB", shared_buffers: "64MB" } });
  client = (await clientOf(server)) as unknown as Client;
  await client.query(await Bun.file(join(import.meta.dir, "shop.sql")).text().then((sql) => sql.replace("VACUUM ANALYZE;", "")));
  await client.query("VACUUM ANALYZE");
  session = await openSession(specOf(server));
  twin = await open();
});

afterAll(async () => {
  await twin?.close();
  await session?.close();
  await client?.end();
  await server?.stop();
  await rm(stateDir, { recursive: true, force: true });
});

function open(of: PgSession = session, tables?: string[]): Promise<Twin> {
  const options = { stateDir, spares: [spare], ...(tables === undefined ? {} : { tables }) };
  return of.transaction({ readOnly: true }, (run) =>
    openTwin(async (sql, values = []) => (await run(sql, values, { maxRows: 1_000_000 })).rows, options),
  );
}

async function realPlan(sql: string): Promise<PlanNode> {
  const { rows } = await client.query({ text: waysToAsk(sql).at(-1)!, queryMode: "extended" } as { text: string });
  return planOf(rows);
}

describe("the twin plans as the server does", () => {
  test("limits", () => {
    expect(twin.limits).toEqual([]);
  });
  for (const sql of STATEMENTS) {
    test(sql, async () => {
      const [ours, theirs] = [await twin.explain(sql), await realPlan(sql)];
      expect(shapeOfPlan(ours)).toBe(shapeOfPlan(theirs));
      expect(ours["Total Cost"] / theirs["Total Cost"]).toBeWithin(0.98, 1.02);
    });
  }
});
