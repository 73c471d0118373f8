import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import dump from "../../../steps/backup/dump.ts";
import readDump from "../../../steps/backup/read-dump.ts";
import { newestMark, recordOf } from "../../../steps/backup/records.ts";
import { sharedServer, startServer, type TestServer } from "../../support/postgres.ts";
import { type Bench, bench, filesOf, runStep } from "./support.ts";

let server: TestServer;
let at: Bench;

beforeAll(async () => {
  server = await startServer({ version: 15 });
  at = await bench(server);
  await at.sql("CREATE DATABASE shop");
  await at.sql(
    `CREATE SCHEMA "Odd ""one"""; CREATE TABLE "Odd ""one"""."with
line" (a int, t text); CREATE TABLE orders (id int PRIMARY KEY, note text);
    INSERT INTO orders SELECT i, E'COPY x FROM stdin;\\n\\\\.\\n' || i FROM generate_series(1, 1000) i;
    INSERT INTO "Odd ""one"""."with
line" VALUES (1, 'a'), (2, null); CREATE ROLE seller LOGIN PASSWORD 'hidden-from-all'`,
    "shop",
  );
}, 300_000);

afterAll(async () => {
  await at.close();
  await server.stop();
});

test("a database is dumped into the state folder, for its owner alone, and read back row by row", async () => {
  const ctx = at.run();
  const made = await runStep(dump, { databases: ["shop"] }, ctx);
  expect(made).toMatchObject({ databases: ["shop"], location: join(at.stateDir, "backups") });
  expect(made.tool).toStartWith("pg_dump 15.");
  const place = await at.place();
  const record = await recordOf(place, made.id);
  expect(record).toMatchObject({
    type: "logical",
    wal: null,
    source: "primary",
    parts: [{ kind: "globals" }, { kind: "dump", database: "shop" }],
  });
  const files = await filesOf(at.stateDir);
  expect(files.filter(({ mode }) => mode !== 0o600)).toEqual([]);
  // Neither the password file nor anything half made is left.
  expect(
    files.map(({ name }) => name).filter((name) => !name.includes("/cluster.json")),
  ).toHaveLength(3);

  const read = await runStep(readDump, { id: made.id }, at.run());
  expect(read).toEqual({
    id: made.id,
    verified: true,
    databases: [{ database: "shop", tables: 2, rows: 1002 }],
  });
  const { facts } = (await newestMark(place, made.id, "verified")) as { facts: any };
  expect(facts.databases[0].rows).toEqual([
    { schema: 'Odd "one"', table: "with\nline", rows: 2 },
    { schema: "public", table: "orders", rows: 1000 },
  ]);
});

test("the password is in no command line, and the roles' are there for a superuser alone", async () => {
  const seen: string[] = [];
  const ctx = at.run();
  const watched = at.run({
    spawn: (argv, options) => (seen.push(argv.join(" ")), ctx.spawn(argv, options)),
  });
  const made = await runStep(dump, { databases: ["shop"] }, watched);
  expect(seen.some((line) => line.includes("pg_dumpall"))).toBe(true);
  expect(seen.join("\n")).not.toContain(server.password);
  const place = await at.place();
  const globals = async (id: string) => {
    const folder = join(
      at.stateDir,
      "backups",
      place.key.system_identifier,
      "15",
      place.key.cluster_id,
      "backup",
      id,
    );
    return readFile(join(folder, "globals.sql"), "utf8");
  };
  expect(await globals(made.id)).toContain("SCRAM-SHA-256$");

  await at.sql("CREATE ROLE dumper LOGIN PASSWORD 'dumper' IN ROLE pg_read_all_data");
  const asDumper = await bench(server, { user: "dumper", password: "dumper" });
  const asked = asDumper.run();
  const plain = await runStep(dump, { databases: ["shop"] }, asked);
  expect(asked.recorded.warnings.join()).toContain("without their passwords");
  const { key } = await asDumper.place();
  const folder = join(
    asDumper.stateDir,
    "backups",
    key.system_identifier,
    "15",
    key.cluster_id,
    "backup",
    plain.id,
  );
  const text = await readFile(join(folder, "globals.sql"), "utf8");
  expect(text).toContain("CREATE ROLE seller");
  expect(text).not.toContain("SCRAM");
  await asDumper.close();
});

test("a byte that flips after the upload keeps a dump from being verified", async () => {
  const made = await runStep(dump, { databases: ["shop"], globals: false }, at.run());
  const place = await at.place();
  const { key } = place;
  const file = join(
    at.stateDir,
    "backups",
    key.system_identifier,
    "15",
    key.cluster_id,
    "backup",
    made.id,
    "dump-0001.pgdump",
  );
  const bytes = await readFile(file);
  bytes[bytes.length - 40]! ^= 1;
  await writeFile(file, bytes);
  await expect(runStep(readDump, { id: made.id }, at.run())).rejects.toMatchObject({
    code: "step_failed",
    message: expect.stringContaining("dump-0001.pgdump"),
  });
  expect(await newestMark(place, made.id, "verified")).toBeNull();
  expect(await newestMark(place, made.id, "damaged")).not.toBeNull();
});

test("a dump that fails, or was killed, leaves no backup", async () => {
  const ctx = at.run();
  await at.sql("CREATE ROLE poor LOGIN PASSWORD 'poor'");
  const asPoor = await bench(server, { user: "poor", password: "poor" });
  const run = asPoor.run();
  await expect(runStep(dump, { databases: ["shop"], globals: false }, run)).rejects.toMatchObject({
    code: "command_failed",
    message: expect.stringContaining("permission denied"),
  });
  expect(
    (await filesOf(join(asPoor.stateDir, "backups"))).filter(({ name }) =>
      /backup\/|record\//.test(name),
    ),
  ).toEqual([]);
  await asPoor.close();

  // Killed after the parts, before the record.
  const made = await runStep(dump, { databases: ["shop"], globals: false }, ctx);
  const { repository, key } = await at.place();
  await repository.remove([`${key.system_identifier}/15/${key.cluster_id}/record/${made.id}.json`]);
  expect(await dump.probe!(ctx, {})).toEqual({ state: "not_done" });
  await dump.undo!(ctx, {}, undefined);
  for await (const { name } of repository.list("")) expect(name).not.toContain(made.id);
});

test("a server that is newer than every pg_dump is refused, and told what to install", async () => {
  const newer = await bench(await sharedServer(18));
  const env = { ...newer.run().env, DOCKER_HOST: "unix:///nowhere/docker.sock" };
  const ran = await runStep(dump, {}, newer.run({ env })).catch((error: unknown) => error);
  if ((ran as { id?: string }).id === undefined) {
    expect(ran).toMatchObject({
      code: "unsupported",
      // Both ways are named: this machine's, and a container's.
      message: expect.stringMatching(/pg_dump .*; and .*nowhere/),
      hint: expect.stringContaining("postgresql-client-18"),
    });
  }
  await expect(runStep(dump, { databases: ["nothing"] }, at.run())).rejects.toMatchObject({
    code: "invalid_param",
  });
  await newer.close();
});
