/**
 * Draws each panel of the dashboards from what a Prometheus has of a cluster, for whoever changes them: Grafana itself need not be there.
 * npm run dashboards:pictures -- http://127.0.0.1:9090 orders [minutes] [folder]
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { browse } from "../chromium.ts";
import { type Panel, pageOf, type Series, type Window } from "./pictures/draw.ts";

const FROM = join(import.meta.dir, "../../../monitoring/grafana/dashboards");
const WIDTH = 1600;
const POINTS = 120;

interface Answer {
  status: string;
  error?: string;
  data: {
    result: {
      metric: Record<string, string>;
      values?: [number, string][];
      value?: [number, string];
    }[];
  };
}

/** As Grafana names a series. */
const named = (format: string, labels: Record<string, string>): string =>
  format.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, label: string) => labels[label] ?? "");

async function seriesOf(
  prometheus: string,
  cluster: string,
  { targets = [] }: Panel,
  { from, to }: Window,
): Promise<Series[]> {
  const step = Math.max(5, Math.round((to - from) / POINTS));
  const found = await Promise.all(
    targets.map(async ({ expr, legendFormat, refId, instant }) => {
      const query = expr
        .replaceAll("$cluster", cluster)
        .replaceAll("$instance", ".*")
        .replaceAll("$__rate_interval", `${Math.max(60, step * 4)}s`);
      const words = new URLSearchParams(
        instant
          ? { query, time: String(to) }
          : { query, start: String(from), end: String(to), step: String(step) },
      );
      const answer = await fetch(`${prometheus}/api/v1/query${instant ? "" : "_range"}?${words}`);
      const { status, error, data } = (await answer.json()) as Answer;
      if (status !== "success") throw new Error(`${expr}: ${error}`);
      return data.result.map(({ metric, values, value }): Series => ({
        name: named(legendFormat, metric),
        labels: metric,
        ref: refId,
        values: (values ?? (value === undefined ? [] : [value]))
          .map(([at, text]): [number, number] => [at, Number(text)])
          .filter(([, one]) => Number.isFinite(one)),
      }));
    }),
  );
  return found.flat();
}

const [prometheus, cluster, minutes = "30", folder = join(tmpdir(), "pgdba-pictures")] =
  process.argv.slice(2);
if (prometheus === undefined || cluster === undefined)
  throw new Error(
    "npm run dashboards:pictures -- http://127.0.0.1:9090 CLUSTER [MINUTES] [FOLDER]",
  );
await mkdir(folder, { recursive: true });
const to = Math.floor(Date.now() / 1000);
const window = { from: to - Number(minutes) * 60, to };
for (const name of (await readdir(FROM)).toSorted()) {
  const { title, panels } = JSON.parse(await readFile(join(FROM, name), "utf8")) as {
    title: string;
    panels: Panel[];
  };
  const drawn = await Promise.all(
    panels.map(async (panel) => ({
      panel,
      series: await seriesOf(prometheus, cluster, panel, window),
    })),
  );
  const { html, height } = pageOf(title, drawn, window, WIDTH);
  const page = join(folder, name.replace(".json", ".html"));
  await writeFile(page, html);
  const png = page.replace(".html", ".png");
  await browse(page, `--screenshot=${png}`, `--window-size=${WIDTH},${Math.ceil(height)}`);
  const empty = drawn.filter(
    ({ panel, series }) => panel.type !== "row" && panel.type !== "table" && series.length === 0,
  );
  process.stdout.write(
    `${png}${empty.length === 0 ? "" : `: no data in ${empty.map(({ panel }) => panel.title).join(", ")}`}\n`,
  );
}
