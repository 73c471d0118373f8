/** What a Prometheus of the user's own includes: jobs whose names are pgdba's, and whose series carry the labels that rules and dashboards ask for. Pure. */
import { parseYaml } from "../../../engine/shared/yaml.ts";
import type { JsonObject } from "../../../engine/types.ts";
import text from "../../../monitoring/prometheus/prometheus.yml" with { type: "text" };
import { PORT } from "../node/places.ts";
import type { Group } from "../node/targets.ts";

interface Job {
  job_name: string;
  params?: object;
  relabel_configs?: JsonObject[];
  file_sd_configs: { refresh_interval: string }[];
}

/** Where they are the user's, who watches them is the user's matter, too. */
const NOT_OURS: readonly string[] = ["prometheus", "alertmanager", "grafana"];
export const AUTHORITIES = "authorities.pem";
/** Jobs whose targets may speak TLS; the label `__scheme__` of a target says so. */
const SECURE: readonly string[] = ["patroni", "etcd"];

/** Paths are seen from the file itself. `hasAuthorities`: there is a file of those that are trusted. */
export async function scrapeConfig(exporter: string, hasAuthorities: boolean): Promise<JsonObject> {
  const here = text.replace(`127.0.0.1:${PORT.postgres}`, exporter);
  const { global, scrape_configs } = (await parseYaml(here, "prometheus.yml", {
    code: "internal",
  })) as unknown as {
    global: { scrape_interval: string; scrape_timeout: string };
    scrape_configs: Job[];
  };
  // Else the user's own holds, which is a minute where none is set: too rarely for rules that look back two.
  const { scrape_interval, scrape_timeout } = global;
  return {
    scrape_configs: scrape_configs
      .filter(({ job_name }) => !NOT_OURS.includes(job_name))
      .map(
        ({ job_name: job, params: _params, relabel_configs = [], file_sd_configs, ...rest }) => ({
          job_name: `pgdba-${job}`,
          scrape_interval,
          scrape_timeout,
          ...rest,
          ...(hasAuthorities && SECURE.includes(job)
            ? { tls_config: { ca_file: AUTHORITIES } }
            : {}),
          file_sd_configs: file_sd_configs.map((one) => ({
            ...one,
            files: [`targets/${job}-*.json`],
          })),
          relabel_configs: [...relabel_configs, { target_label: "job", replacement: job }],
        }),
      ) as unknown as JsonObject[],
  };
}

/** Of one cluster, by job: with the module of the exporter that logs in there, and the scheme of those that speak TLS. */
export function targetsOf(
  cluster: string,
  files: Readonly<Record<string, Group[]>>,
  secure: readonly string[],
): Record<string, JsonObject[]> {
  const more = (job: string): Record<string, string> => ({
    ...(job === "postgres" ? { __param_auth_module: cluster } : {}),
    ...(secure.includes(job) ? { __scheme__: "https" } : {}),
  });
  return Object.fromEntries(
    Object.entries(files)
      .filter(([job]) => !NOT_OURS.includes(job))
      .map(([job, groups]) => [
        job,
        groups.map(({ targets, labels }) => ({ targets, labels: { ...labels, ...more(job) } })),
      ]),
  );
}
