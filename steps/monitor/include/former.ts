/** What was given when the files were written last: it stays where it is not given again. */
import { parseYaml } from "../../../engine/shared/yaml.ts";
import type { Group } from "../node/targets.ts";
import type { Over } from "../rules/in-force.ts";

/** Text of a file of the folder; undefined where there is none. */
export type Reader = (name: string) => string | undefined;

export const THRESHOLDS = "thresholds.json";

/** Where each is asked, by its name. */
export function placesIn(text: string | undefined): Record<string, string> | undefined {
  if (text === undefined) return undefined;
  const groups = JSON.parse(text) as Group[];
  return Object.fromEntries(groups.map(({ targets, labels }) => [labels.instance, targets[0]!]));
}

/** The address that stands for the exporter in the jobs. */
export async function exporterIn(text: string | undefined): Promise<string | undefined> {
  if (text === undefined) return undefined;
  const { scrape_configs = [] } = (await parseYaml(text, "scrape.yml", {
    code: "invalid_config",
  })) as unknown as {
    scrape_configs?: {
      job_name: string;
      relabel_configs?: { target_label?: string; replacement?: string }[];
    }[];
  };
  return scrape_configs
    .find(({ job_name }) => job_name === "pgdba-postgres")
    ?.relabel_configs?.find(({ target_label }) => target_label === "__address__")?.replacement;
}

/** The URL of the data source. */
export async function prometheusIn(text: string | undefined): Promise<string | undefined> {
  if (text === undefined) return undefined;
  const { datasources } = (await parseYaml(text, "datasources/pgdba.yml", {
    code: "invalid_config",
  })) as unknown as { datasources?: { url?: string }[] };
  return datasources?.[0]?.url;
}

export const thresholdsIn = (text: string | undefined): Over =>
  text === undefined ? {} : (JSON.parse(text) as Over);
