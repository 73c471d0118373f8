/** The configuration of Prometheus on a node that monitors one cluster: that of `monitoring/`, whose paths are seen from its own folder. */
import { parseYaml } from "../../../engine/shared/yaml.ts";
import type { JsonObject } from "../../../engine/types.ts";
import text from "../../../monitoring/prometheus/prometheus.yml" with { type: "text" };
import { FOLDER, PORT, type Ports } from "./places.ts";

/** A change of the primary shows in Patroni's metrics, which are asked for as often. */
const EVALUATED = "5s";
/** By job, the file of the authority that is trusted for it, null for those that the system trusts; jobs that stand here speak TLS. */
export type Secure = Readonly<Record<string, string | null>>;

export async function prometheusConfig(secure: Secure, ports = PORT): Promise<JsonObject> {
  const config = (await parseYaml(at(text, ports), "prometheus.yml", { code: "internal" })) as {
    global: JsonObject;
    scrape_configs: { job_name: string }[];
  };
  const scrape_configs = config.scrape_configs.map((one) =>
    one.job_name in secure ? { ...one, scheme: "https", ...trusting(secure[one.job_name]) } : one,
  );
  const global = { ...config.global, evaluation_interval: EVALUATED };
  return { ...config, global, scrape_configs } as unknown as JsonObject;
}

const trusting = (file: string | null | undefined): object =>
  file ? { tls_config: { ca_file: file } } : {};

/** Alertmanager and the exporter where they listen. */
function at(config: string, { alertmanager, postgres }: Ports): string {
  return config
    .replace(`127.0.0.1:${PORT.alertmanager}`, `127.0.0.1:${alertmanager}`)
    .replace(`127.0.0.1:${PORT.postgres}`, `127.0.0.1:${postgres}`);
}

export const PROMETHEUS_FILE = `${FOLDER}/prometheus.yml`;
export const ALERTMANAGER_FILE = `${FOLDER}/alertmanager.yml`;
