import { mkdtemp, rm } from "node:fs/promises";
import { clientOf, startServer } from "../../support/postgres.ts";
import { openSession, specOf } from "../postgres/helpers.ts";
import { openTwin, shapeOfPlan } from "../../../providers/twin/twin.ts";
import { hasParameters, planOf, spellings } from "../../../providers/twin/plan.ts";
import { STATEMENTS } from "./statements.ts";
const t0 = performance.now(); const lap = (s: string) => console.log(s, Math.round(performance.now() - t0));
const stateDir = await mkdtemp("/tmp/pgdba-twin-");
import { chmod } from "node:fs/promises"; await chmod(stateDir, 0o755);
const server = await startServer({ initdbArgs: ["--locale=C.UTF-8"], settings: { random_page_cost: 1.1, work_mem: "2MB", shared_buffers: "64MB" } });
lap("server");
const client = await clientOf(server);
await client.query((await Bun.file(import.meta.dir + "/shop.sql").text()).replace("VACUUM ANALYZE;", ""));
lap("filled");
await client.query("VACUUM ANALYZE");
lap("analyzed");
const session = await openSession(specOf(server));
let n = 0;
const twin = await session.transaction({ readOnly: true }, (run) =>
  openTwin(async (sql, values = []) => { const t = performance.now(); const r = (await run(sql, values, { maxRows: 1e6 })).rows; console.log("  read", Math.round(performance.now() - t), sql.slice(0, 50).replaceAll("\n", " ")); n++; return r; }, { stateDir, spares: [stateDir + "/spare"], log: console.log }));
lap("twin, reads: " + n);
console.log(twin.limits);
let bad = 0;
for (const sql of STATEMENTS) {
  const ours = await twin.explain(sql).catch((e) => e);
  let theirs: any;
  for (const way of spellings(sql)) theirs = await client.query(`EXPLAIN (FORMAT JSON${hasParameters(sql) ? ", GENERIC_PLAN" : ""}) ${way}`).then((r) => planOf(r.rows), (e) => e);
  if (ours instanceof Error || theirs instanceof Error) { console.log("ERR", sql, String(ours), String(theirs)); continue; }
  const r = ours["Total Cost"] / theirs["Total Cost"];
  if (shapeOfPlan(ours) !== shapeOfPlan(theirs) || Math.abs(r - 1) > 0.0001) { bad++; console.log(r.toFixed(4), ours["Total Cost"], theirs["Total Cost"], sql.slice(0, 90), shapeOfPlan(ours) === shapeOfPlan(theirs) ? "" : "\n  " + shapeOfPlan(ours) + "\n  " + shapeOfPlan(theirs)); }
}
lap("explained, differing " + bad);
if (process.env.DBG) { const run = (await import("node:fs")).readdirSync(stateDir, { recursive: true }).map(String).find((n) => n.endsWith(".s.PGSQL.5432"))!;console.log(stateDir + "/" + run); const { Client } = await import("pg"); const c = new Client({ host: stateDir + "/" + run.replace("/.s.PGSQL.5432", ""), port: 5432, user: "postgres", database: "twin" }); await c.connect();
  await c.query("CREATE EXTENSION pageinspect; CREATE EXTENSION pg_buffercache");
  const rp = (await c.query("select pg_relation_filepath('app.customers_pkey') p")).rows[0].p; const fs = await import("node:fs"); const dd = stateDir + "/" + run.replace("/s/.s.PGSQL.5432", "/data/") + rp; console.log(rp, fs.readFileSync(dd).subarray(0, 72));
  console.log((await c.query("select * from pg_buffercache where relfilenode = pg_relation_filenode('app.customers_pkey')")).rows);
  console.log((await c.query("select * from bt_metap('app.customers_pkey')")).rows); await c.end(); }
await twin.close(); lap("closed");
await client.end(); await session.close(); await server.stop(); await rm(stateDir, { recursive: true });
