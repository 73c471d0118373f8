/** The configuration of Prometheus on a node that monitors one cluster: that of `monitoring/`, whose paths are seen from its own folder. */
import { parseYaml } from "../../../engine/shared/yaml.ts";
import type { JsonObject } from "../../../engine/types.ts";
import text from "../../../monitoring/prometheus/prometheus.yml" with { type: "text" };
import { AUTHORITY, FOLDER } from "./places.ts";

/** A change of the primary shows in Patroni's metrics, which are asked for as often. */
const EVALUATED = "5s";
/** Those whose endpoints speak TLS where the cluster does. */
const SECURE: readonly string[] = ["patroni", "etcd"];

export async function prometheusConfig(tls: boolean): Promise<JsonObject> {
  const config = (await parseYaml(text, "prometheus.yml", { code: "internal" })) as {
    global: JsonObject;
    scrape_configs: { job_name: string }[];
  };
  const scrape_configs = config.scrape_configs.map((one) =>
    tls && SECURE.includes(one.job_name)
      ? { ...one, scheme: "https", tls_config: { ca_file: AUTHORITY } }
      : one,
  );
  const global = { ...config.global, evaluation_interval: EVALUATED };
  return { ...config, global, scrape_configs } as unknown as JsonObject;
}

export const PROMETHEUS_FILE = `${FOLDER}/prometheus.yml`;
export const ALERTMANAGER_FILE = `${FOLDER}/alertmanager.yml`;
