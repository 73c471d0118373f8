import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { binariesOf, debianWithRepack } from "../../support/debian.ts";
import { clientOf, startServer } from "../../support/postgres.ts";
import { type Bench, bench } from "./support.ts";

setDefaultTimeout(300_000);

const debian = debianWithRepack();
const KILL = join(import.meta.dir, "../../support/kill-at.ts");
const PLANTED = `
  CREATE SCHEMA "My Shop";
  CREATE TABLE "My Shop"."Orders" (id int PRIMARY KEY, note text);
  CREATE INDEX "Orders note" ON "My Shop"."Orders" (note);
  INSERT INTO "My Shop"."Orders" SELECT i, repeat(md5(i::text), 4) FROM generate_series(1, 150000) i;
  CREATE TABLE keyless (a int); INSERT INTO keyless SELECT generate_series(1, 1000);
  CREATE TABLE small (id int PRIMARY KEY, note text); INSERT INTO small SELECT i, 'n' FROM generate_series(1, 1000) i;
  CREATE ROLE app LOGIN PASSWORD 'app'; ALTER TABLE small OWNER TO app`;

describe.skipIf(typeof debian === "string")(
  `pg_repack${typeof debian === "string" ? ` (${debian})` : ""}`,
  () => {
    let on: Bench;
    beforeAll(async () => {
      if (typeof debian === "string") return;
      on = await bench(() =>
        startServer({
          version: debian.version,
          binaries: binariesOf(debian),
          settings: { autovacuum: "off" },
        }),
      );
      await on.client.query(PLANTED);
      await on.client.query(`VACUUM (ANALYZE) "My Shop"."Orders"`);
    });
    afterAll(() => on?.stop());

    const ORDERS = `"My Shop"."Orders"`;
    const repack = (table: string, ...more: string[]) =>
      on.pgdba(["maintenance", "repack", table, ...more]);
    const filenode = async (table: string): Promise<string> =>
      (await on.rows("SELECT pg_relation_filenode($1::regclass)::text AS n", [table]))[0].n;
    /** What pg_repack makes beside the table. */
    const leftovers = async (): Promise<string[]> =>
      (
        await on.rows(`SELECT relname AS name FROM pg_class WHERE relnamespace = to_regnamespace('repack')::oid AND relkind IN ('r', 'i', 'S') AND relname ~ '_[0-9]+'
          UNION ALL SELECT tgname FROM pg_trigger WHERE tgname = 'repack_trigger'`)
      ).map(({ name }) => name);
    /** Few rows are left in each page, so that vacuum alone gives nothing back. */
    const bloat = async (): Promise<void> => {
      await on.client.query(`DELETE FROM ${ORDERS} WHERE id % 20 <> 0`);
      // Counted now: counted after the vacuum they would be taken for dead rows that it has left.
      await on.client.query("SELECT pg_stat_force_next_flush()");
      await on.client.query(`VACUUM (ANALYZE) ${ORDERS}`);
    };
    const fill = () =>
      on.client.query(
        `INSERT INTO ${ORDERS} SELECT i, repeat(md5(i::text), 4) FROM generate_series(1, 150000) i ON CONFLICT DO NOTHING`,
      );
    const passfiles = async (): Promise<string[]> =>
      (await readdir(join(on.home, "tmp")).catch(() => [])).filter((n) => n.startsWith("login-"));

    test("without the extension it is refused with the statement that makes it, and nothing names it", async () => {
      const { exit, envelope } = await repack("small");
      expect([exit, envelope.error.code]).toEqual([1, "assertion_failed"]);
      expect(envelope.error.message).toContain("pg_repack is not in the database postgres");
      expect(envelope.error.hint).toContain("pgdba extension create pg_repack --database postgres");
      await bloat();
      const plan = await on.pgdba(["maintenance", "plan"]);
      const line = plan.envelope.data.due.find((one: any) => one.object === ORDERS);
      expect(line.runbook).toBe("maintenance/vacuum-full");
      await on.client.query("CREATE EXTENSION pg_repack");
    });

    test("a bloated table is found, rewritten by the command that is named, and is no finding any more", async () => {
      const plan = await on.pgdba(["maintenance", "plan"]);
      const { command } = plan.envelope.data.due.find(
        (one: any) => one.runbook === "maintenance/repack",
      );
      const [{ bytes }] = await on.rows(
        "SELECT pg_total_relation_size($1::regclass)::int AS bytes",
        [ORDERS],
      );
      const before = await filenode(ORDERS);
      const preview = await on.pgdba(["maintenance", "repack", "--plan"]);
      expect(preview.envelope.error).toBeNull();
      expect(JSON.stringify(preview.envelope)).toContain("--no-kill-backend");
      expect(await filenode(ORDERS)).toBe(before);
      const { exit, envelope } = await on.shell(command);
      expect([exit, envelope.error]).toEqual([0, null]);
      const [row] = await on.rows(
        "SELECT pg_total_relation_size($1::regclass)::int AS bytes, count(*)::int AS rows FROM " +
          ORDERS,
        [ORDERS],
      );
      expect(row.rows).toBe(7500);
      expect(row.bytes).toBeLessThan(bytes / 4);
      expect(envelope.data).toMatchObject({
        repacked: 1,
        failed: 0,
        freed: bytes - row.bytes,
        tables: [{ table: ORDERS, bytes_before: bytes, bytes_after: row.bytes, cleaned: false }],
      });
      expect(JSON.stringify(envelope.data.run.warnings)).toContain("can't be seen from here");
      expect(await leftovers()).toEqual([]);
      expect(await passfiles()).toEqual([]);
      const again = await on.pgdba(["maintenance", "repack"]);
      expect(again.envelope.data).toMatchObject({ repacked: 0, failed: 0 });
    });

    test("what pg_repack can't rewrite is refused with the reason, and the others are done", async () => {
      const before = await filenode("small");
      const { exit, envelope } = await repack("keyless,small");
      expect([exit, envelope.error.code]).toEqual([1, "assertion_failed"]);
      expect(envelope.error.message).toMatch(
        /^keyless: .*neither a primary key nor a unique index.*; the other tables are done/,
      );
      expect(await filenode("small")).not.toBe(before);
      const other = await on.pgdba(["maintenance", "repack", "small"], {
        PGDBA_PG_USER: "app",
        PGDBA_PG_PASSWORD: "app",
      });
      expect(other.envelope.error.message).toContain("app is no superuser");
    });

    test("an extension of another version than its library is refused", async () => {
      const [{ version }] = await on.rows(
        "SELECT extversion AS version FROM pg_extension WHERE extname = 'pg_repack'",
      );
      const set = (to: string) =>
        on.client.query("UPDATE pg_extension SET extversion = $1 WHERE extname = 'pg_repack'", [
          to,
        ]);
      await set("1.4.1");
      const { exit, envelope } = await repack("small");
      await set(version);
      expect([exit, envelope.error.message]).toEqual([
        1,
        expect.stringContaining(`is 1.4.1, and its library on the server is ${version}`),
      ]);
    });

    test("a lock that can't be had: the table stays as it is, nobody's session is ended, nothing is left", async () => {
      const other = await clientOf(on.server);
      await other.query("BEGIN; SELECT count(*) FROM small");
      const before = await filenode("small");
      const { exit, envelope } = await repack("small", "--lock-timeout", "1s");
      expect([exit, envelope.error.code]).toEqual([1, "assertion_failed"]);
      expect(envelope.error.message).toContain("pg_repack has given up");
      expect((await other.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
      await other.end();
      expect(await filenode("small")).toBe(before);
      expect(await leftovers()).toEqual([]);
    });

    test("it waits for an older transaction no longer than it may, and leaves nothing", async () => {
      const other = await clientOf(on.server);
      await other.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM keyless");
      const before = await filenode("small");
      const { exit, envelope } = await repack("small", "--timeout", "3s");
      expect([exit, envelope.error.message]).toEqual([
        1,
        expect.stringContaining("could not be rewritten in 3s"),
      ]);
      expect((await other.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
      await other.end();
      expect(await filenode("small")).toBe(before);
      expect(await leftovers()).toEqual([]);
    });

    test("killed while it waits, its trigger and log are left; a further run drops them and does it", async () => {
      const other = await clientOf(on.server);
      await other.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM keyless");
      const killer = new AbortController();
      const running = on.pgdba(["maintenance", "repack", "small"], {}, undefined, killer.signal);
      while (!(await leftovers()).includes("repack_trigger")) await Bun.sleep(50);
      killer.abort();
      expect((await running).signal).toBe("SIGKILL");
      await other.end();
      expect(await leftovers()).toContain("repack_trigger");
      await on.client.query("INSERT INTO small VALUES (5000, 'meanwhile')");
      const { exit, envelope } = await repack("small");
      expect([exit, envelope.error]).toEqual([0, null]);
      expect(envelope.data.tables).toMatchObject([{ ok: true, cleaned: true }]);
      expect(await leftovers()).toEqual([]);
      expect(await on.rows("SELECT note FROM small WHERE id = 5000")).toEqual([
        { note: "meanwhile" },
      ]);
      // Given up or resumed, the killed run takes its password file with it, and what was done since is not done again.
      const done = await filenode("small");
      const killed = (await on.pgdba(["runs"])).envelope.data.runs[1].id;
      const resumed = await on.pgdba(["resume", killed]);
      expect([resumed.exit, resumed.envelope.error]).toEqual([0, null]);
      expect(await filenode("small")).toBe(done);
      expect(await passfiles()).toEqual([]);
    });

    test.each(["started each/0/repack", "acted each/0/repack", "ended each/0/repack"])(
      "killed when it has %s, resume does what is left",
      async (moment) => {
        const before = await filenode("small");
        const killed = await on.pgdba(
          ["maintenance", "repack", "small"],
          { KILL_AT: moment, KILL_LOG: join(on.home, "repack.log") },
          KILL,
        );
        expect(killed.signal).toBe("SIGKILL");
        const done = await filenode("small");
        expect(done !== before).toBe(!moment.startsWith("started"));
        const [{ id }] = (await on.pgdba(["runs"])).envelope.data.runs;
        const { exit, envelope } = await on.pgdba(["resume", id]);
        expect([exit, envelope.error]).toEqual([0, null]);
        expect(envelope.data).toMatchObject({ repacked: 1, failed: 0 });
        // What was done is not done again.
        if (moment.startsWith("started")) expect(await filenode("small")).not.toBe(before);
        else expect(await filenode("small")).toBe(done);
        expect(await leftovers()).toEqual([]);
        expect(await passfiles()).toEqual([]);
      },
    );

    test("killed while the server copies, resume ends that, drops what is left and does it", async () => {
      await fill();
      const before = await filenode(ORDERS);
      // It waits for the older transaction; and for the younger, which only reads, before it puts the copy in the table's place.
      const older = await clientOf(on.server);
      await older.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM keyless");
      const killer = new AbortController();
      const running = on.pgdba(["maintenance", "repack", ORDERS], {}, undefined, killer.signal);
      while (!(await leftovers()).includes("repack_trigger")) await Bun.sleep(50);
      const younger = await clientOf(on.server);
      await younger.query(`BEGIN; SELECT FROM ${ORDERS} LIMIT 1`);
      await older.end();
      const copying = () =>
        on.rows(
          "SELECT pid FROM pg_stat_activity WHERE application_name = 'pg_repack' AND query ~ '^(INSERT INTO repack.table_|CREATE INDEX|LOCK TABLE)'",
        );
      while ((await copying()).length === 0) await Bun.sleep(20);
      killer.abort();
      expect((await running).signal).toBe("SIGKILL");
      expect(await leftovers()).toContain("repack_trigger");
      await younger.end();
      const [{ id }] = (await on.pgdba(["runs"])).envelope.data.runs;
      const { exit, envelope } = await on.pgdba(["resume", id]);
      expect([exit, envelope.error]).toEqual([0, null]);
      expect(envelope.data).toMatchObject({ repacked: 1, tables: [{ cleaned: true }] });
      expect(await filenode(ORDERS)).not.toBe(before);
      expect(await leftovers()).toEqual([]);
      expect((await on.rows(`SELECT count(*)::int AS n FROM ${ORDERS}`))[0].n).toBe(150000);
    });

    test("the password is in no argument of the program", async () => {
      const other = await clientOf(on.server);
      await other.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM keyless");
      const running = repack("small", "--timeout", "4s");
      let seen = "";
      while (seen === "") {
        await Bun.sleep(50);
        for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
          if (!existsSync(`/proc/${pid}/cmdline`)) continue;
          const line = await Bun.file(`/proc/${pid}/cmdline`)
            .text()
            .catch(() => "");
          if (line.split("\0")[0]?.endsWith("/pg_repack") && line.includes("small")) seen = line;
        }
      }
      await other.end();
      await running;
      expect(seen).toContain("--no-kill-backend");
      expect(seen).not.toContain(on.server.password);
    });
  },
);
