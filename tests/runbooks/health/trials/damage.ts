import { expect } from "bun:test";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { runAs } from "../../../../providers/nodes/embedded/server.ts";
import { ordinaryUser } from "../../../../providers/nodes/embedded/user.ts";
import { binariesOf, debianPostgres } from "../../../support/debian.ts";
import { startServer, type TestServer, type Version } from "../../../support/postgres.ts";
import type { Scene } from "./scene.ts";
import type { Trial } from "./trial.ts";

const CORRUPT: Trial[] = [
  {
    check: "checksum-failures",
    async plant({ query, server }) {
      await query("create database sound");
      await query("create table t as select n from generate_series(1, 1000) n", {
        database: "sound",
      });
      // A copy of its files, which the server has not read yet.
      await query(
        `create database "Dam;aged" template sound${server.version >= 15 ? " strategy file_copy" : ""}`,
      );
      const there = { database: "Dam;aged" };
      const [{ path }] = await query("select pg_relation_filepath('t') as path", there);
      const file = await open(join(server.dataDir, path), "r+");
      await file.write(Buffer.from("damage"), 0, 6, 4000);
      await file.close();
      const read = await query("select count(*) from t", there).catch(({ code }) => code);
      expect(read).toBe("XX001");
    },
    finds: ["critical Dam;aged"],
    remedy: {
      told: /restore the damaged relations .* forget the count: select pg_stat_reset\(\) in that database/,
      async does({ query }) {
        const there = { database: "Dam;aged" };
        await query(
          "drop table t; create table t as select n from generate_series(1, 1000) n",
          there,
        );
        await query("select pg_stat_reset(); analyze", there);
      },
    },
    again: ({ query }) => query("select count(*) from t", { database: "Dam;aged" }),
  },
];

const debian = debianPostgres();
const missing = debian === undefined ? "not on this machine: PostgreSQL's own tools" : null;
if (missing !== null && (process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("patroni"))
  throw new Error(`PostgreSQL's own tools are required, but ${missing}`);

/** Runs a program of PostgreSQL's on the data directory of a server that is down. */
const tool = (server: TestServer, name: string, ...args: string[]) =>
  runAs(ordinaryUser(), [join(debian!.bin, name), "-D", server.dataDir, ...args]);

const UNCHECKED: Trial[] = [
  {
    check: "checksums-off",
    async plant({ server }) {
      await server.restart(async () => void (await tool(server, "pg_checksums", "--disable")));
    },
    finds: ["info"],
    remedy: {
      told: /Stop the server cleanly and run pg_checksums --enable/,
      async does({ server }, { remedy }) {
        const at = `-D ${server.dataDir}`;
        expect(remedy.by_hand).toBe(
          `pg_ctl stop -m fast ${at} && pg_checksums --enable ${at} && pg_ctl start ${at}`,
        );
        await server.restart(
          async () => void (await tool(server, "pg_checksums", "--enable", "--no-sync")),
        );
      },
    },
  },
];

/** Ids are used up as if by years of work. */
const WRAPAROUND: Trial[] = [
  {
    check: "wraparound-database",
    // Those that take no connections go by their SQL.
    commands: [debian?.version ?? 15],
    async plant({ server, query }) {
      await query(`create database "Ol;d"; create database shut`);
      await query("alter database shut allow_connections false");
      await server.restart(async () => {
        await tool(server, "pg_resetwal", "-x", String(1_000_013_824), "-m", `${1_000_013_824},1`);
        // The segments that hold these ids.
        for (const [folder, name] of [
          ["pg_xact", Math.floor(1_000_013_824 / 1_048_576)],
          ["pg_multixact/offsets", Math.floor(1_000_013_824 / 65_536)],
        ] as const) {
          const hex = name.toString(16).toUpperCase().padStart(4, "0");
          const file = join(server.dataDir, folder, hex);
          await Bun.write(file, new Uint8Array(262_144));
          await runAs(null, ["chown", "--reference", server.dataDir, file]);
        }
      });
    },
    finds: ["postgres", "template1", "template0", "Ol;d", "shut"].map(
      (name) => `warning database ${name}`,
    ),
    leaves: async ({ query }) => {
      const rows = await query("select datname from pg_database where not datallowconn order by 1");
      expect(rows.map(({ datname }) => datname)).toEqual(["shut", "template0"]);
    },
  },
  {
    check: "wraparound-multixact",
    // Those that take no connections go by their SQL.
    commands: [debian?.version ?? 15],
    plant: "",
    finds: ["postgres", "template1", "template0", "Ol;d", "shut"].map(
      (name) => `warning database ${name}`,
    ),
  },
];

const scene = (name: string, trials: Trial[], initdbArgs: string[]): Scene => ({
  name,
  versions: [debian?.version ?? 15],
  missing,
  trials,
  start: async (version: Version) => [
    await startServer({
      version,
      binaries: binariesOf(debian!),
      initdbArgs,
      // Or it would be done at once, also with autovacuum off.
      settings: {
        autovacuum: "off",
        autovacuum_freeze_max_age: 2e9,
        autovacuum_multixact_freeze_max_age: 2e9,
      },
    }),
  ],
});

export const DAMAGE: Scene[] = [
  {
    name: "damage",
    versions: [18],
    trials: CORRUPT,
    start: async (version) => [
      await startServer({
        version,
        initdbArgs: ["--data-checksums"],
        settings: { autovacuum: "off" },
      }),
    ],
  },
  scene("checksums", UNCHECKED, ["--data-checksums"]),
  scene("wraparound", WRAPAROUND, []),
];
