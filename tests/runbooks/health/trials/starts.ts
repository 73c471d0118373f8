import { expect } from "bun:test";
import { startServer } from "../../../support/postgres.ts";
import { opensslMissing, putCertificate } from "./certificate.ts";
import { applySettings } from "./remedies.ts";
import type { Scene } from "./scene.ts";
import type { Trial, World } from "./trial.ts";

async function uptime({ query }: World): Promise<number> {
  const [{ seconds }] = await query(
    "select extract(epoch from now() - pg_postmaster_start_time())::float8 as seconds",
  );
  return seconds;
}

/** What is set when the server starts. */
const TRIALS: Trial[] = [
  {
    check: "archive-off",
    plant: "alter system set archive_mode = off",
    finds: ["info"],
    remedy: {
      told: /Configure an archiver .* turn archive_mode on, which needs a restart/,
      async does({ query, server }) {
        await query(
          "alter system set archive_command = '/bin/true'; alter system set archive_mode = on",
        );
        await server.restart();
      },
    },
  },
  {
    check: "wal-level-minimal",
    plant: "alter system set wal_level = minimal; alter system set max_wal_senders = 0",
    finds: ["info"],
  },
  {
    check: "statements-missing",
    plant:
      "drop extension pg_stat_statements; alter system set shared_preload_libraries = 'auto_explain'",
    finds: ["info"],
    leaves: async ({ query }) => {
      const [{ libraries }] = await query(
        "select current_setting('shared_preload_libraries') as libraries",
      );
      if (!/auto_explain/.test(libraries)) throw new Error(libraries);
    },
  },
  {
    check: "memory-worst-case",
    thresholds: { ram_bytes: 2e9 },
    plant: "alter system set work_mem = '64MB'",
    finds: ["critical"],
    remedy: {
      told: /Lower max_connections with a pooler in front, or work_mem/,
      does: ({ query }) => query("alter system set work_mem = '4MB'; select pg_reload_conf()"),
    },
  },
  {
    check: "tls-off",
    plant: "alter system set listen_addresses = '*'",
    finds: ["warning"],
    remedy: {
      told: /Put a certificate and its key where ssl_cert_file and ssl_key_file say .* then turn ssl on/,
      async does(world, { remedy }) {
        await putCertificate(world.server);
        await applySettings(world, world.server, remedy.params?.["settings"] as object);
      },
    },
  },
  {
    check: "huge-pages-off",
    from: 17,
    thresholds: { info_bytes: 0 },
    // Pages of a size that no machine keeps ready.
    plant: "alter system set huge_pages = try; alter system set huge_page_size = '1TB'",
    finds: ["info"],
    remedy: {
      untried: "It takes pages that the system's kernel was told to set aside (vm.nr_hugepages).",
    },
  },
  {
    check: "restarted-recently",
    // Before, it is as old as it is; after the restart for all of these the default finds it.
    thresholds: async (world) =>
      world.notes["restarted"] === true ? {} : { info: Math.floor(await uptime(world)) },
    plant: async ({ notes }) => void (notes["restarted"] = true),
    finds: ["info"],
    remedy: { untried: "It tells of something that has happened, and ends with time." },
  },
];

/** They go by the memory of the machine, and by what is in the server already. */
const LATER: Trial[] = [
  {
    check: "shared-buffers-default",
    thresholds: { warning_bytes: 1_000_000 },
    plant: "alter system set shared_buffers = '16MB'",
    finds: ["warning"],
  },
  {
    // It is loaded, and only this database lacks it.
    check: "statements-missing",
    commands: [13, 18],
    plant: "drop extension pg_stat_statements",
    finds: ["info"],
  },
];

export const CACHE: Scene = {
  name: "the cache",
  versions: [13, 18],
  trials: LATER,
  start: async (version) => [
    await startServer({
      version,
      settings: { shared_buffers: "130MB", shared_preload_libraries: "pg_stat_statements" },
    }),
  ],
  healthy: ["create extension pg_stat_statements"],
  planted: ({ server }) => server.restart(),
};

/** Each is told while the server still runs; it restarts with what the remedies have written. */
const DOWN: Trial[] = [
  {
    check: "restart-would-fail",
    plant: `alter system set shared_preload_libraries = 'auto_explain, pg_stat_statements';
      alter system set huge_pages = on`,
    finds: ["critical huge_pages", "critical shared_preload_libraries"],
    async leaves({ query, server }) {
      await server.restart();
      const told = `select current_setting('shared_preload_libraries') as libraries,
        current_setting('huge_pages') as pages`;
      expect(await query(told)).toEqual([
        { libraries: "auto_explain, pg_stat_statements", pages: "try" },
      ]);
    },
  },
];

export const WOULD_FAIL: Scene = {
  name: "a start that would fail",
  versions: [13, 18],
  trials: DOWN,
  start: async (version) => [await startServer({ version })],
  // Each library by itself, and one that is named with its folder.
  healthy: [
    `alter system set shared_preload_libraries = "auto_explain", '$libdir/pg_stat_statements'`,
  ],
};

export const STARTS: Scene = {
  name: "settings of the start",
  versions: [13, 18],
  missing: opensslMissing(),
  trials: TRIALS,
  start: async (version) => [
    await startServer({
      version,
      settings: {
        shared_buffers: "130MB",
        archive_mode: "on",
        archive_command: "/bin/true",
        wal_level: "replica",
        shared_preload_libraries: "auto_explain, pg_stat_statements",
        ...(version >= 14 ? { huge_pages: "off" } : {}),
      },
    }),
  ],
  healthy: ["create extension pg_stat_statements"],
  planted: ({ server }) => server.restart(),
};
