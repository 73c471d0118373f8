/** What Grafana is given: the dashboards, and the files that provision them. */
import { stringify } from "yaml";
import { parseYaml } from "../../../engine/shared/yaml.ts";
import type { JsonObject } from "../../../engine/types.ts";
import overview from "../../../monitoring/grafana/dashboards/cluster-overview.json";
import performance from "../../../monitoring/grafana/dashboards/performance.json";
import replication from "../../../monitoring/grafana/dashboards/replication.json";
import providers from "../../../monitoring/grafana/provisioning/dashboards/pgdba.yml" with { type: "text" };
import sources from "../../../monitoring/grafana/provisioning/datasources/pgdba.yml" with { type: "text" };

export const DASHBOARDS: Readonly<Record<string, JsonObject>> = {
  "cluster-overview": overview as unknown as JsonObject,
  performance: performance as unknown as JsonObject,
  replication: replication as unknown as JsonObject,
};

/** The password of `admin` of a Grafana that pgdba runs, by its name in the entry. */
export const GRAFANA_SECRET = "grafana_admin";

export const FOLDER = { uid: "pgdba", title: "PostgreSQL" };

interface Sources {
  datasources: JsonObject[];
}

/** The data source, with the place of Prometheus. */
export async function dataSource(prometheus: string): Promise<JsonObject> {
  const { datasources } = (await parseYaml(sources, "datasources/pgdba.yml", {
    code: "internal",
  })) as unknown as Sources;
  return { ...datasources[0]!, url: prometheus };
}

/** Text by path, below a folder of Grafana's; `dashboards` is where it finds those. */
export async function grafanaFiles(
  prometheus: string,
  dashboards: string,
): Promise<Map<string, string>> {
  const provider = (await parseYaml(providers, "dashboards/pgdba.yml", {
    code: "internal",
  })) as unknown as { providers: { options: object }[] };
  const placed = {
    ...provider,
    providers: provider.providers.map((one) => ({
      ...one,
      options: { ...one.options, path: dashboards },
    })),
  };
  const source = { apiVersion: 1, datasources: [await dataSource(prometheus)] };
  return new Map([
    ["provisioning/datasources/pgdba.yml", stringify(source)],
    ["provisioning/dashboards/pgdba.yml", stringify(placed)],
    ...Object.entries(DASHBOARDS).map(([name, board]): [string, string] => [
      `dashboards/${name}.json`,
      `${JSON.stringify(board, null, 2)}\n`,
    ]),
  ]);
}
