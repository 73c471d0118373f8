/** What runs on a node that monitors. No password is in it: those stand in files that the start script writes. */
import type { JsonObject } from "../../../engine/types.ts";
import { ALERTMANAGER_FILE, PROMETHEUS_FILE } from "./prometheus.ts";
import { AUTHORITY, HOME, PORT, RUN, TARGETS } from "./places.ts";
import type { Place } from "./targets.ts";

export interface Wish {
  cluster: string;
  tls: boolean;
  retention: string;
  /** By what they are for, the users of those that are logged in as. */
  accounts: Record<string, string>;
  poolers: Place[];
  /** Params of health checks that are other than pgdba's own. */
  checks: Record<string, Record<string, number>>;
}

/** Those that are off by default, and that the rules need. */
const COLLECTORS = [
  "database_wraparound",
  "long_running_transactions",
  "postmaster",
  "stat_checkpointer",
  "stat_wal_receiver",
];

export function servicesOf({
  cluster,
  tls,
  retention,
  accounts,
  poolers,
  checks,
}: Wish): JsonObject {
  const sslmode = tls ? "verify-full" : "disable";
  const options = tls ? { sslmode, sslrootcert: AUTHORITY } : { sslmode };
  const pgdba = `${HOME}/bin/pgdba`;
  const own = { PGDBA_HOME: HOME, HOME };
  const local = (port: number): string => `--web.listen-address=127.0.0.1:${port}`;
  const service = (name: string, argv: string[], env: Record<string, string> = {}) => ({
    name,
    argv,
    env,
  });
  return {
    accounts,
    options,
    services: [
      service("prometheus", [
        "prometheus",
        `--config.file=${PROMETHEUS_FILE}`,
        `--storage.tsdb.path=${HOME}/prometheus`,
        `--storage.tsdb.retention.time=${retention}`,
        `--web.listen-address=0.0.0.0:${PORT.prometheus}`,
        "--log.level=warn",
      ]),
      service("alertmanager", [
        "prometheus-alertmanager",
        `--config.file=${ALERTMANAGER_FILE}`,
        `--storage.path=${HOME}/alertmanager`,
        `--web.listen-address=0.0.0.0:${PORT.alertmanager}`,
        "--cluster.listen-address=",
        "--log.level=warn",
      ]),
      service("postgres-exporter", [
        "prometheus-postgres-exporter",
        `--config.file=${RUN}/postgres_exporter.yml`,
        local(PORT.postgres),
        ...COLLECTORS.map((name) => `--collector.${name}`),
        "--log.level=warn",
      ]),
      ...poolers.map(({ name, host, port }, index) =>
        service(
          `pgbouncer-exporter-${name}`,
          [
            "prometheus-pgbouncer-exporter",
            local(PORT.pgbouncer + index),
            `--pgBouncer.connectionString=postgres://${accounts["pgbouncer_admin"]}@${host}:${port}/pgbouncer?${new URLSearchParams(options)}`,
            "--log.level=warn",
          ],
          { PGPASSFILE: `${RUN}/pgpass` },
        ),
      ),
      service(
        "pgdba",
        [
          pgdba,
          "run",
          "health/serve",
          "--cluster",
          cluster,
          "--listen",
          String(PORT.pgdba),
          ...(Object.keys(checks).length === 0 ? [] : ["--thresholds", JSON.stringify(checks)]),
          "--no-input",
        ],
        own,
      ),
      service(
        "targets",
        [pgdba, "run", "monitor/follow", TARGETS, "--cluster", cluster, "--no-input"],
        own,
      ),
    ],
  };
}
