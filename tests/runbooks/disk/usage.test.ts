import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("where the disk space went in PostgreSQL %d", (version) => {
  let server: Planted;

  beforeAll(async () => {
    server = await planted(version, {
      logging_collector: "on",
      temp_file_limit: -1,
      archive_mode: "on",
      archive_command: "false",
    });
    const admin = await server.session("admin");
    await admin.query("CREATE ROLE plain LOGIN PASSWORD 'plain'");
    await admin.query("CREATE DATABASE closed");
    await admin.query("REVOKE CONNECT ON DATABASE closed FROM public");
    await admin.query("CREATE TABLE big (n int, t text)");
    await admin.query(
      "INSERT INTO big SELECT g, repeat('x', 100) FROM generate_series(1, 30000) g",
    );
    await admin.query("CREATE INDEX big_n ON big (n)");
    await admin.query("CREATE TABLE locked (n int)");
    await admin.query("INSERT INTO big VALUES (1, 'twice')");
    await admin.query("CREATE UNIQUE INDEX CONCURRENTLY half ON big (n)").catch(() => {});
    await admin.query("SELECT pg_create_physical_replication_slot('gone', true)");
    await admin.query(
      "INSERT INTO big SELECT g, repeat('x', 100) FROM generate_series(40000, 60000) g",
    );
    // A slot that is dropped for less than a file of WAL frees nothing.
    for (let n = 0; n < 2; n++)
      await admin
        .query("SELECT pg_switch_wal()")
        .then(() => admin.query("INSERT INTO big VALUES (0, '')"));
    // A new slot keeps all since the last checkpoint.
    await admin.query("CHECKPOINT");
    await admin.query("SELECT pg_create_physical_replication_slot('only_down', true)");
    await admin.query("INSERT INTO big VALUES (0, '')");
    const holder = await server.session("holder");
    await holder.query("BEGIN");
    await holder.query("LOCK TABLE locked");
    const sorts = await server.session("sorts");
    await sorts.query("SET work_mem = '64kB'");
    // Its sort lies on the disk for as long as the cursor is open.
    await sorts.query("BEGIN");
    await sorts.query("DECLARE c CURSOR FOR SELECT * FROM big ORDER BY t, n");
    await sorts.query("FETCH 1 FROM c");
  });
  afterAll(() => server.stop());

  test("what keeps the same WAL is told of each other, and the archive what fails", async () => {
    const admin = await server.session("waits");
    const failed = async () =>
      (await admin.query("SELECT failed_count > 0 AS yes FROM pg_stat_archiver")).rows[0].yes;
    while (!(await failed())) await Bun.sleep(200);
    const { data } = (await server.run(["disk", "usage"])).envelope;
    const found = (what: string) => data.frees.find((one: any) => one.what === what);
    const slot = found("WAL that slot gone keeps");
    expect(slot.why).toContain("The same files wait to be archived: they go only when both");
    expect(slot.command).toStartWith("pgdba slot list gone --host");
    const archive = found("WAL that waits to be archived");
    expect(archive.why).toMatch(
      /^Archiving of [0-9A-F]{24} failed at .*archive_command is false\..*config apply --settings '\{"archive_command":"NEW_COMMAND"\}' --host .*kept by slot gone: they go only when both/s,
    );
    expect(archive.command).toStartWith("pgdba health check --only archiver-failing");
  });

  test("it tells the large ones, and what can go with the command for it", async () => {
    const { exit, envelope } = await server.run(["disk", "usage"]);
    expect({ exit, error: envelope.error }).toEqual({ exit: 0, error: null });
    expect(JSON.stringify(envelope).length).toBeLessThan(20_000);
    const { data } = envelope;
    expect(data.tables[0]).toMatchObject({ name: "big" });
    expect(data.tables[0].heap_bytes).toBeGreaterThan(5_000_000);
    expect(data.tables[0].index_bytes).toBeGreaterThan(500_000);
    expect(data.wal.bytes).toBeGreaterThanOrEqual(16 * 1024 * 1024);
    expect(data.logs.files).toBeGreaterThan(0);
    expect(data.temp.bytes).toBeGreaterThan(1_000_000);
    expect(data.hidden).toEqual(["1 tables are locked exclusively and not measured"]);
    const commands = data.frees.map((one: any) => one.command);
    // Each with the server that it is for, so that it does the same from any shell.
    const at = `--host ${server.host} --port ${server.port} --user ${server.user} --database ${server.database}`;
    // What it keeps could go, but nobody knows yet that its consumer is gone.
    const whats = data.frees.map((one: any) => [one.what, one.command]);
    expect(whats).toContainEqual(["WAL that slot gone keeps", `pgdba slot list gone ${at}`]);
    expect(JSON.stringify(whats)).not.toContain("only_down");
    expect(commands).toContain(`pgdba index drop half --yes ${at}`);
    for (const command of commands.filter((one: unknown) => one !== null))
      expect(command).toEndWith(at);
    expect(commands.some((one: string) => one?.startsWith("pgdba session terminate "))).toBe(true);
  });

  test("rows that were analysed at once after they came are told once", async () => {
    const loads = await server.session("loads");
    for (const table of ["analysed", "vacuumed", "grown"]) {
      await loads.query(`CREATE TABLE ${table} (n int, t text)`);
      await loads.query(`INSERT INTO ${table} SELECT g, 'x' FROM generate_series(1, 3417) g`);
    }
    await loads.query("CREATE TABLE counted_by_index (n int, t text)");
    await loads.query("INSERT INTO counted_by_index VALUES (1, 'x')");
    await loads.query("CREATE INDEX ON counted_by_index (n)");
    await loads.query("CREATE TABLE of_one_page (n int)");
    await loads.query("INSERT INTO of_one_page VALUES (1)");
    await loads.query("ANALYZE analysed, grown, of_one_page");
    await loads.query("VACUUM vacuumed");
    for (const table of ["grown", "counted_by_index", "of_one_page"])
      await loads.query(`INSERT INTO ${table} SELECT g FROM generate_series(1, 6000) g`);
    const counted = () =>
      loads.query("SELECT n_live_tup FROM pg_stat_all_tables WHERE relname = 'analysed'");
    // Its session tells of its own rows after a while, and they are counted once more.
    const end = performance.now() + 20_000;
    while ((await counted()).rows[0].n_live_tup !== "6834" && performance.now() < end)
      await Bun.sleep(200);
    expect((await counted()).rows[0].n_live_tup).toBe("6834");
    const { envelope } = await server.run(["disk", "usage", "--limit", "200", "--full"]);
    const rows = Object.fromEntries(envelope.data.tables.map((one: any) => [one.name, one.rows]));
    expect(rows).toMatchObject({ analysed: 3417, vacuumed: 3417, counted_by_index: 6001 });
    // What came later counts; an estimate by pages is a little off, and one row by itself may be counted twice.
    expect(Math.abs(rows.grown - 9417)).toBeLessThan(1500);
    expect(Math.abs(rows.of_one_page - 6001)).toBeLessThan(3);
    const only = "table-without-key,fk-without-index,autovacuum-off-table";
    await loads.query("ALTER TABLE vacuumed SET (autovacuum_enabled = off)");
    await loads.query("CREATE TABLE referenced (n int PRIMARY KEY)");
    await loads.query("INSERT INTO referenced SELECT n FROM analysed");
    await loads.query("ALTER TABLE analysed ADD FOREIGN KEY (n) REFERENCES referenced");
    const thresholds = '{"fk-without-index": {"warning": 1000}}';
    const words = ["health", "check", "--only", only, "--thresholds", thresholds];
    const { findings } = (await server.run(words)).envelope.data;
    const said = (check: string, table: string) =>
      findings.find((one: any) => one.check === check && one.message.includes(table)).message;
    expect(said("table-without-key", "public.analysed")).toContain("(3417 rows)");
    expect(said("fk-without-index", "public.analysed")).toContain(", 3417 rows");
    expect(said("autovacuum-off-table", "public.vacuumed")).toContain("(3417 rows)");
    await loads.query("SELECT pg_stat_reset()");
    const { envelope: anew } = await server.run(["disk", "usage", "--limit", "200", "--full"]);
    expect(anew.data.tables.find((one: any) => one.name === "vacuumed").rows).toBe(3417);
  }, 120_000);

  test("a role that sees less is told what it does not see", async () => {
    const { envelope } = await server.run(["disk", "usage", "--limit", "2"], {
      PGDBA_PG_USER: "plain",
      PGDBA_PG_PASSWORD: "plain",
    });
    expect(envelope.error).toBeNull();
    expect(envelope.data).toMatchObject({ wal: null, logs: null, temp: null });
    expect(envelope.data.hidden[0]).toContain("GRANT pg_monitor");
    expect(envelope.data.hidden[1]).toContain("1 databases");
    expect(envelope.data.left_out.tables).toBeGreaterThan(0);
  });
});
