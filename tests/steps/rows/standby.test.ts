/** Rows that were deleted by accident come back from a standby that runs behind, also when pgdba is killed meanwhile. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cli, type Place, place, removePlaces, Running } from "../../e2e/support.ts";
import { runIn } from "../../support/live.ts";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";
import { startServer, type TestServer } from "../../support/postgres.ts";
import { cloneInto } from "../../support/standby.ts";
import { known } from "./support.ts";

setDefaultTimeout(180_000);
afterAll(removePlaces);

const KILL_AT = join(import.meta.dir, "../../support/mending/kill-at.ts");

describe.each(VERSIONS_HERE)("a standby that runs 12 hours behind, PostgreSQL %d", (version) => {
  let server: Planted;
  let standby: TestServer;
  const ask = async (sql: string) => (await (await server.session("look")).query(sql)).rows;

  beforeAll(async () => {
    server = await planted(version, { wal_level: "replica", max_wal_senders: 4 });
    await ask(`CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents SELECT generate_series(1, 100);
      CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent int REFERENCES parents, at timestamptz DEFAULT now(), note text);
      INSERT INTO visits (parent, note) SELECT n % 100 + 1, 'v' || n FROM generate_series(1, 5000) n`);
    standby = await startServer({
      version,
      settings: { recovery_min_apply_delay: "12h", hot_standby: "on" },
      prepare: (dir) => cloneInto(dir, server),
    });
    standby.password = server.password;
  }, 300_000);
  afterAll(async () => {
    await standby?.stop();
    await server?.stop();
  });

  const harm = () =>
    ask(`DELETE FROM visits WHERE id % 4 = 0; INSERT INTO visits (parent, note) VALUES (1, 'new');
      UPDATE visits SET note = 'changed since' WHERE id = 5`);
  /** All that should be there once the rows are back. */
  const assertBack = async () => {
    const [counted] = await ask(
      "SELECT count(*) FILTER (WHERE id <= 5000)::int AS old, count(*) FILTER (WHERE note = 'new')::int > 0 AS new, count(*) FILTER (WHERE note = 'changed since')::int AS changed FROM visits",
    );
    expect(counted).toEqual({ old: 5000, new: true, changed: 1 });
  };

  test("as a cluster of the registry: what is missing comes back, and what was written since stays", async () => {
    await harm();
    const env = known(server.home, "delayed", standby);
    const compared = await server.run(["rows", "compare", "visits", "--other", "delayed"], env);
    expect(compared.envelope.data).toMatchObject({
      against: "cluster delayed",
      tables: [
        { only_there: 1250, only_here: 1, different: 1, columns: [{ column: "note", rows: 1 }] },
      ],
    });
    const words = ["rows", "copy", "visits", "--other", "delayed", "--rows", "1250", "--yes"];
    const { envelope } = await server.run(words, env);
    expect(envelope.data).toMatchObject({ inserted: 1250, overwritten: 0 });
    await assertBack();
    const again = await server.run(["rows", "copy", "visits", "--other", "delayed", "--yes"], env);
    expect(again.envelope.data).toMatchObject({ inserted: 0 });
  });

  test("as a member of the same cluster", async () => {
    await harm();
    const node = (name: string, { host, port }: TestServer) =>
      `{name: ${name}, roles: [postgres], address: {host: ${host}, port: ${port}}}`;
    const nodes = `nodes: [${node("pg1", server)}, ${node("pg2", standby)}]\n`;
    const env = {
      ...known(server.home, "main", server, nodes),
      PGDBA_PG_HOST: "",
      PGDBA_PG_PORT: "",
    };
    const words = ["rows", "copy", "visits", "--cluster", "main", "--member", "pg2", "--yes"];
    const { envelope } = await server.run(words, env);
    expect(envelope.error).toBe(null);
    expect(envelope.data.inserted).toBe(1250);
    await assertBack();
    const to = await server.run(["rows", "copy", "visits", "--yes", "--other", "main"], {
      ...env,
      PGDBA_PG_HOST: standby.host,
      PGDBA_PG_PORT: String(standby.port),
    });
    expect(to.envelope.error.code).toBe("capability_missing");
  });

  test("killed before, during and after its commit: what is done is known, and done once", async () => {
    const words = ["rows", "copy", "visits", "--other", "delayed", "--yes", "--format", "json"];
    const begin = (at: Place, more: Record<string, string>): Running => {
      const env = { ...known(at.home, "delayed", standby), ...access(), ...more };
      return new Running(words, at, { preload: KILL_AT, env });
    };
    const access = () => ({
      PGDBA_PG_HOST: server.host,
      PGDBA_PG_PORT: String(server.port),
      PGDBA_PG_USER: server.user,
      PGDBA_PG_DATABASE: server.database,
      PGDBA_PG_PASSWORD: server.password,
    });
    await harm();
    const first = place();
    const log = join(first.root, "moments");
    await begin(first, { KILL_LOG: log }).ended();
    const moments = readFileSync(log, "utf8").trim().split("\n");
    const telling = moments.filter((one) => one.startsWith("telling "));
    await assertBack();
    for (const moment of [
      "started copied",
      telling[Math.floor(telling.length / 2)]!,
      telling.at(-1)!,
      "acted copied",
    ]) {
      await harm();
      const at = place();
      const killed = await begin(at, { KILL_AT: moment }).ended();
      expect([moment, killed.exit]).toEqual([moment, 137]);
      const { envelope } = await cli(["resume", runIn(killed.stderr)!, "--yes"], at, {
        env: { ...known(at.home, "delayed", standby), ...access() },
      });
      expect([moment, envelope.error]).toEqual([moment, null]);
      expect(envelope.data).toMatchObject({ inserted: 1250 });
      await assertBack();
    }
  });
});
