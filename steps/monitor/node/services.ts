/** What runs on a node that monitors. No password is in it: those stand in files that the start script writes. */
import type { JsonObject } from "../../../engine/types.ts";
import { ALERTMANAGER_FILE, PROMETHEUS_FILE } from "./prometheus.ts";
import { HOME, type Ports, RUN, TARGETS } from "./places.ts";
import type { Place } from "./targets.ts";

export interface Wish {
  cluster: string;
  /** How the servers and the poolers are connected to, as libpq has it. */
  options: Record<string, string>;
  retention: string;
  /** By what they are for, the users of those that are logged in as. */
  accounts: Record<string, string>;
  /** With the user by whom their consoles are asked. */
  poolers: (Place & { user: string })[];
  /** Members come and go, and Patroni tells which there are. */
  hasPatroni: boolean;
  hasDisks: boolean;
  ports: Ports;
  /** The address that Prometheus and Alertmanager answer at. */
  bind: string;
  /** Params of health checks that are other than pgdba's own. */
  checks: Record<string, Record<string, number>>;
}

/** Of the exporter of servers: those that are off by default, and that the rules need. */
export const COLLECTORS = [
  "database_wraparound",
  "postmaster",
  "stat_checkpointer",
  "stat_wal_receiver",
].map((name) => `--collector.${name}`);

/**
 * For some seconds after it has read its files again Prometheus knows no Alertmanager, and an alert that begins then is told with the next sending alone: a minute
 * later by default. Alertmanager takes an alert for over when it has not heard of it for four times as long.
 */
const RESENT = "15s";

export function servicesOf({
  cluster,
  options,
  retention,
  accounts,
  poolers,
  hasPatroni,
  hasDisks,
  ports,
  bind,
  checks,
}: Wish): JsonObject {
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
        `--web.listen-address=${bind}:${ports.prometheus}`,
        `--rules.alert.resend-delay=${RESENT}`,
        "--log.level=warn",
      ]),
      service("alertmanager", [
        "prometheus-alertmanager",
        `--config.file=${ALERTMANAGER_FILE}`,
        `--storage.path=${HOME}/alertmanager`,
        `--web.listen-address=${bind}:${ports.alertmanager}`,
        "--cluster.listen-address=",
        "--log.level=warn",
      ]),
      service("postgres-exporter", [
        "prometheus-postgres-exporter",
        `--config.file=${RUN}/postgres_exporter.yml`,
        local(ports.postgres),
        ...COLLECTORS,
        "--log.level=warn",
      ]),
      ...poolers.map(({ name, host, port, user }, index) =>
        service(
          `pgbouncer-exporter-${name}`,
          [
            "prometheus-pgbouncer-exporter",
            local(ports.pgbouncer + index),
            `--pgBouncer.connectionString=postgres://${user}@${host}:${port}/pgbouncer?${new URLSearchParams(options)}`,
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
          String(ports.pgdba),
          ...(Object.keys(checks).length === 0 ? [] : ["--thresholds", JSON.stringify(checks)]),
          "--no-input",
        ],
        own,
      ),
      ...(hasPatroni
        ? [
            service(
              "targets",
              [
                pgdba,
                "run",
                "monitor/follow",
                TARGETS,
                "--cluster",
                cluster,
                ...(hasDisks ? [] : ["--no-disks"]),
                "--no-input",
              ],
              own,
            ),
          ]
        : []),
    ],
  };
}
