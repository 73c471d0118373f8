/** The configuration of Prometheus on a node that monitors one cluster. Pure. */
import type { JsonObject } from "../../../engine/types.ts";
import { AUTHORITY, FOLDER, PORT, RULES, TARGETS } from "./places.ts";

/** What a change of the primary shows by is asked for often, the rest as is usual. */
const OFTEN = "5s";
const USUAL = "15s";

export function prometheusConfig(cluster: string, node: string, tls: boolean): JsonObject {
  const own = (port: number) => [
    { targets: [`127.0.0.1:${port}`], labels: { cluster, instance: node } },
  ];
  const found = (job: string) => [{ files: [`${TARGETS}/${job}.json`], refresh_interval: "5s" }];
  const secure = tls ? { scheme: "https", tls_config: { ca_file: AUTHORITY } } : {};
  const often = { scrape_interval: OFTEN, scrape_timeout: "4s" };
  return {
    global: { scrape_interval: USUAL, scrape_timeout: "10s", evaluation_interval: OFTEN },
    rule_files: [`${RULES}/*.yml`],
    alerting: {
      alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${PORT.alertmanager}`] }] }],
    },
    scrape_configs: [
      { job_name: "patroni", ...often, ...secure, file_sd_configs: found("patroni") },
      {
        job_name: "postgres",
        metrics_path: "/probe",
        params: { auth_module: ["pgdba"] },
        file_sd_configs: found("postgres"),
        relabel_configs: [
          { source_labels: ["__address__"], target_label: "__param_target" },
          { target_label: "__address__", replacement: `127.0.0.1:${PORT.postgres}` },
        ],
      },
      { job_name: "node", file_sd_configs: found("node") },
      { job_name: "etcd", ...secure, file_sd_configs: found("etcd") },
      { job_name: "pgbouncer", file_sd_configs: found("pgbouncer") },
      // Its series about a member have an `instance` of their own.
      { job_name: "pgdba", honor_labels: true, static_configs: own(PORT.pgdba) },
      { job_name: "prometheus", static_configs: own(PORT.prometheus) },
      { job_name: "alertmanager", static_configs: own(PORT.alertmanager) },
    ],
  };
}

export const PROMETHEUS_FILE = `${FOLDER}/prometheus.yml`;
export const ALERTMANAGER_FILE = `${FOLDER}/alertmanager.yml`;
