/** A dump by the client programs of a container, where this machine has none that are new enough. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import dump from "../../../steps/backup/dump.ts";
import loadDatabase from "../../../steps/backup/load-database.ts";
import readDump from "../../../steps/backup/read-dump.ts";
import { docker, dockerMissing } from "../../support/docker.ts";
import { startServer, type TestServer } from "../../support/postgres.ts";
import { type Bench, bench, filesOf, runStep } from "./support.ts";

const missing = dockerMissing();
// The image may have to be built.
setDefaultTimeout(600_000);

describe.skipIf(missing !== null)(`client programs of a container [${missing ?? "docker"}]`, () => {
  let server: TestServer;
  let at: Bench;
  beforeAll(async () => {
    server = await startServer({ version: 17 });
    at = await bench(server);
    await at.sql("CREATE DATABASE shop");
    await at.sql("CREATE TABLE orders AS SELECT generate_series(1, 500) id", "shop");
  });
  afterAll(async () => {
    await at?.close();
    await server?.stop();
  });

  test("a database is dumped, read back and loaded by them; the container and the password are gone afterwards", async () => {
    // A machine with newer programs takes its own.
    const env = { ...at.run().env, PATH: "/usr/bin:/bin" };
    const made = await runStep(dump, { databases: ["shop"] }, at.run({ env }));
    expect(made.tool).toMatch(/^pg_dump 1[7-9]\./);
    const read = await runStep(readDump, { id: made.id }, at.run({ env }));
    expect(read.databases).toEqual([{ database: "shop", tables: 1, rows: 500 }]);
    const load = { id: made.id, database: "shop", to: "shop_back" };
    await runStep(loadDatabase, load, at.run({ env }));
    expect(await at.sql("SELECT count(*)::int AS n FROM orders", "shop_back")).toEqual([
      { n: 500 },
    ]);
    const files = (await filesOf(at.stateDir)).map(({ name }) => name);
    expect(files.filter((name) => name.includes("login-"))).toEqual([]);
    const runs = await docker(
      "ps",
      "-a",
      "--filter",
      "label=pgdba.run",
      "--format",
      '{{.Label "pgdba.run"}}',
    );
    expect(runs.split("\n").filter((run) => /^r\d+$/.test(run))).toEqual([]);
  });
});
