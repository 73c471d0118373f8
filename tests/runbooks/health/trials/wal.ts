import { startServer, type Version } from "../../../support/postgres.ts";
import { runCommand } from "./remedies.ts";
import type { Scene } from "./scene.ts";
import type { Trial, World } from "./trial.ts";

const RELOAD = "select pg_reload_conf()";

/** Each file of WAL holds 1 MB here. */
async function writeWal({ query }: World, files: number): Promise<void> {
  for (let n = 0; n < files; n++)
    await query("insert into written values (1); select pg_switch_wal()");
}

const archives = ({ query }: World) =>
  query(`alter system set archive_command = '/bin/true'; ${RELOAD}`);

const KEPT: Trial[] = [
  {
    check: "slots-unlimited",
    plant: "select pg_create_physical_replication_slot('forgotten', true)",
    finds: ["info"],
  },
  {
    check: "slot-inactive",
    thresholds: { warning_bytes: 2_000_000, idle: 0 },
    plant: (world) => writeWal(world, 20),
    finds: ["warning slot forgotten"],
    // Before PostgreSQL 17 nobody knows since when it is not used.
    remedy: {
      told: /If it is gone for good, drop the slot/,
      also: true,
      does: ({ query }) =>
        query(
          "select pg_drop_replication_slot('forgotten'); checkpoint; select pg_switch_wal(); checkpoint",
        ),
    },
  },
  {
    check: "slot-wal-retained",
    thresholds: { warning_bytes: 2_000_000, critical_bytes: 10_000_000 },
    plant: "",
    finds: ["critical slot forgotten"],
    // The slot is gone with the remedy of another finding, once.
    remedy: { told: /If it is gone for good, drop the slot/, does: async () => {} },
  },
  {
    check: "wal-directory-size",
    thresholds: { min_bytes: 12_000_000, warning: 2, critical: 5 },
    plant: "checkpoint",
    finds: ["critical"],
    remedy: {
      told: /Look at the findings of slots and archiving first/,
      does: ({ query }) => query("checkpoint; select pg_switch_wal(); checkpoint"),
    },
  },
];

const LOST: Trial[] = [
  {
    check: "slot-lost",
    commands: [13, 18],
    async plant(world) {
      await world.query(`select pg_create_physical_replication_slot('late', true); select pg_create_physical_replication_slot('idle');
        alter system set max_slot_wal_keep_size = '1MB'; ${RELOAD}`);
      await writeWal(world, 8);
      await world.query("checkpoint");
    },
    finds: ["critical slot late"],
  },
];

const FAILING: Trial[] = [
  {
    check: "archiver-failing",
    thresholds: { critical: 1e6 },
    async plant(world) {
      await world.query(`alter system set archive_command = '/bin/false'; ${RELOAD}`);
      const [{ file }] = await world.query("select pg_walfile_name(pg_current_wal_lsn()) as file");
      world.notes["failed"] = file;
      await writeWal(world, 4);
    },
    finds: ({ notes }) => [`warning ${String(notes["failed"])}`],
    remedy: { told: /archive_command is /, does: archives },
  },
  {
    check: "archive-backlog",
    thresholds: { warning: 3 },
    plant: "",
    finds: ["warning"],
    remedy: { told: /See whether archive_command fails/, does: archives },
  },
];

const EMPTY: Trial[] = [
  {
    check: "archive-command-empty",
    plant: `alter system set archive_command = ''; ${RELOAD}`,
    finds: ["warning"],
    remedy: {
      told: /Set archive_command to what your archiver needs \(a reload is enough\)/,
      async does(world, { check, remedy }) {
        await runCommand(world, check, remedy.also[0]!.command);
        await world.server.restart();
      },
    },
  },
];

const scene = (name: string, trials: Trial[], versions: Version[] = [18]): Scene => ({
  name: `WAL ${name}`,
  versions,
  trials,
  start: async (version) => [
    await startServer({
      version,
      initdbArgs: ["--wal-segsize=1"],
      settings: {
        autovacuum: "off",
        min_wal_size: "2MB",
        max_wal_size: "2MB",
        archive_mode: "on",
        archive_command: "/bin/true",
      },
    }),
  ],
  healthy: ["create table written (n int)"],
});

export const WAL: Scene[] = [
  scene("is kept", KEPT, [13, 17, 18]),
  scene("is lost", LOST, [13, 17, 18]),
  scene("is not archived", FAILING),
  scene("goes nowhere", EMPTY),
];
