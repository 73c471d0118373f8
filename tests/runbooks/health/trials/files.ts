import { expect } from "bun:test";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { startServer } from "../../../support/postgres.ts";
import { until } from "../support.ts";
import { opensslMissing, putCertificate } from "./certificate.ts";
import type { Scene } from "./scene.ts";
import { pidOf, type Trial, type World } from "./trial.ts";

const hba = ({ server }: World): string => join(server.dataDir, "pg_hba.conf");

/** Puts the file back as it was before `add`. */
async function corrected(world: World): Promise<void> {
  await writeFile(hba(world), String(world.notes["hba"]));
  await world.query("select pg_reload_conf()");
}

const TRIALS: Trial[] = [
  {
    check: "hba-trust",
    async plant(world) {
      const text = await readFile(hba(world), "utf8");
      world.notes["hba"] = text;
      world.notes["line"] = text.split("\n").length;
      await appendFile(
        hba(world),
        "host all all 192.0.2.0/24 trust\nlocal odd all trust\nhost all all nonsense\nhost fine all 192.0.2.0/24 scram-sha-256\n",
      );
    },
    finds: ({ notes }) => [
      `critical pg_hba.conf:${Number(notes["line"])}`,
      `info pg_hba.conf:${Number(notes["line"]) + 1}`,
    ],
    remedy: {
      told: /Write scram-sha-256 .* reload: select pg_reload_conf\(\)/,
      does: (_) => corrected(_),
    },
  },
  {
    check: "hba-errors",
    plant: "",
    finds: ({ notes }) => [`critical pg_hba.conf:${Number(notes["line"]) + 2}`],
    remedy: { told: /Correct the line.* and reload/, does: (world) => corrected(world) },
  },
  {
    check: "file-settings-errors",
    async plant({ server, notes }) {
      const file = join(server.dataDir, "postgresql.conf");
      notes["conf"] = await readFile(file, "utf8");
      await appendFile(file, "\nno_such_setting = 1\n");
      await appendFile(join(server.dataDir, "postgresql.auto.conf"), "work_mem = 'much'\n");
      notes["errors"] = [`critical ${file}:${String(notes["conf"]).split("\n").length + 1}`];
    },
    // The other file is looked into when this one is read without fault; its remedy is SQL.
    finds: ({ notes }) => notes["errors"] as string[],
    remedy: {
      told: /Correct the line and reload/,
      also: true,
      does: ({ server, notes, query }) =>
        writeFile(join(server.dataDir, "postgresql.conf"), String(notes["conf"])).then(() =>
          query("select pg_reload_conf()"),
        ),
    },
    async leaves({ query }) {
      expect(await query("select name from pg_file_settings where error is not null")).toEqual([]);
      expect(await query("select from pg_file_settings where name = 'work_mem'")).toEqual([]);
    },
  },
  {
    check: "crash-restart",
    thresholds: { grace: 1.5 },
    async plant({ open, query }) {
      await until(
        () => query("select extract(epoch from now() - pg_postmaster_start_time())::float8 as up"),
        ([row]) => row.up > 2,
      );
      const [victim, other] = [await open(), await open()];
      // All sessions end with a crash; until then the server answers as if nothing had happened.
      const crashed = new Promise((done) => other.once("end", done));
      process.kill(pidOf(victim), "SIGKILL");
      await crashed;
      await until(
        () => query("select 1").catch(() => []),
        (rows) => rows.length === 1,
      );
    },
    finds: ["warning"],
    remedy: { untried: "It tells of something that has happened, and ends with time." },
  },
];

/** An address of this machine that is not its loopback. */
const address = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === "IPv4" && !one.internal)?.address;

const ENCRYPTION: Trial[] = [
  {
    check: "connections-unencrypted",
    async plant(world) {
      const { server, notes } = world;
      const { port, password } = server;
      const text = await readFile(hba(world), "utf8");
      await writeFile(hba(world), `${text}\nhost all all ${address}/32 scram-sha-256\n`);
      await world.query("select pg_reload_conf()");
      const client = new Client({
        host: address,
        port,
        password,
        user: "postgres",
        database: "postgres",
      });
      client.on("error", () => {});
      await client.connect();
      notes["plain"] = client;
      notes["hba"] = text;
    },
    finds: ["warning role postgres"],
    remedy: {
      told: /Write hostssl instead of host .* until they connect again/,
      async does(world) {
        const { server, notes, query } = world;
        await writeFile(
          hba(world),
          `${String(notes["hba"])}\nhostssl all all ${address}/32 scram-sha-256\n`,
        );
        await query("select pg_reload_conf()");
        await (notes["plain"] as Client).end();
        const { port, password } = server;
        const again = new Client({
          host: address,
          port,
          password,
          user: "postgres",
          database: "postgres",
          ssl: { rejectUnauthorized: false },
        });
        again.on("error", () => {});
        await again.connect();
        notes["plain"] = again;
      },
    },
    leaves: ({ notes }) => (notes["plain"] as Client).end(),
  },
];

/** Why encryption can't be tried here. */
function withoutAddress(): string | null {
  if (address !== undefined) return opensslMissing();
  if ((process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("network"))
    throw new Error("network is required, but this machine has no address but its loopback");
  return "no address but the loopback";
}

export const FILES: Scene[] = [
  {
    name: "files and crashes",
    versions: [13, 18],
    trials: TRIALS,
    start: async (version) => [await startServer({ version })],
  },
  {
    name: "encryption",
    versions: [18],
    missing: withoutAddress(),
    trials: ENCRYPTION,
    async start(version) {
      const server = await startServer({ version, settings: { listen_addresses: "*" } });
      await putCertificate(server);
      await appendFile(join(server.dataDir, "postgresql.conf"), "\nssl = on\n");
      await server.restart();
      return [server];
    },
  },
];
