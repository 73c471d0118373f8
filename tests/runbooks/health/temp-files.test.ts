import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { clientOf } from "../../support/postgres.ts";
import { type Bench, bench, PLACES } from "../maintenance/support.ts";

setDefaultTimeout(300_000);

const SORTED =
  "SELECT md5(n::text) || repeat('x', 200) AS x FROM generate_series(1, 30000) n ORDER BY 1";

describe.each(PLACES)("on PostgreSQL $name", ({ start }) => {
  let on: Bench;
  beforeAll(async () => {
    on = await bench(start);
    await on.client.query(
      `CREATE ROLE "the app"; ALTER ROLE "the app" SET work_mem = '64kB'; CREATE ROLE other`,
    );
    await on.client.query("CREATE DATABASE elsewhere");
  });
  afterAll(() => on?.stop());

  test("the finding tells whose work_mem is another one, and where to see what idle sessions hold", async () => {
    await on.client.query("ALTER ROLE other IN DATABASE elsewhere SET work_mem = '1GB'");
    // It is counted when the session ends.
    const writer = await clientOf(on.server);
    await writer.query("SET work_mem = '64kB'");
    await writer.query(`SELECT count(*) FROM (${SORTED} OFFSET 0) s`);
    await writer.query(`SELECT * FROM (${SORTED}) s OFFSET 29999`);
    await writer.end();
    const words = ["health", "check", "--only", "temp-files", "--thresholds"];
    const check = () => on.pgdba([...words, '{"temp-files": {"info_bytes": 1}}']);
    let { findings } = (await check()).envelope.data;
    for (; findings.length === 0; await Bun.sleep(200))
      ({ findings } = (await check()).envelope.data);
    const [found] = findings;
    expect(found.message).toContain(`and role "the app" has 64kB`);
    expect(found.message).not.toContain("other");
    expect(found.remedy.text).toContain("`pgdba disk usage`");
    expect(found.remedy.text).toContain("pgdba role set ROLE");
  });

  test("what an idle session holds is told with its session", async () => {
    const holder = await clientOf(on.server);
    await holder.query("SET work_mem = '64kB'; BEGIN");
    await holder.query(`DECLARE c CURSOR FOR ${SORTED}`);
    await holder.query("FETCH 1 FROM c");
    const { rows } = await holder.query("SELECT pg_backend_pid() AS pid");
    const { temp, frees } = (await on.pgdba(["disk", "usage"])).envelope.data;
    await holder.end();
    expect(temp.files).toBeGreaterThan(0);
    expect(JSON.stringify(frees)).toContain(`temporary files of pid ${rows[0].pid}`);
  });
});
