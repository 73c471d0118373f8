import { mkdir, rm, stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { stringify } from "yaml";
import { readTextIfThere } from "../../engine/shared/read-file.ts";
import { type WriteOptions, writeWhole } from "../../engine/shared/write-file.ts";
import { parseYaml } from "../../engine/shared/yaml.ts";
import type { Json, JsonObject, StepContext } from "../../engine/types.ts";
import type { ClusterEntry } from "../../providers/registry/read.ts";
import { defineStep } from "../define.ts";
import { MONITOR_ROLE, monitorPassword, monitorUser } from "./account.ts";
import {
  exporterIn,
  placesIn,
  prometheusIn,
  type Reader,
  THRESHOLDS,
  thresholdsIn,
} from "./include/former.ts";
import { grafanaFiles } from "./include/grafana.ts";
import { onlyWatched, watchedFile, watchedRules } from "./include/rules.ts";
import { AUTHORITIES, scrapeConfig, targetsOf } from "./include/scrape.ts";
import { alertmanagerConfig, withReceiversOf } from "./node/alertmanager.ts";
import { secureOf, trustedBy, watchedBeside } from "./node/home-beside.ts";
import { json, spoken } from "./node/home-of.ts";
import { PORT } from "./node/places.ts";
import { RULE_FILES } from "./node/rules.ts";
import { COLLECTORS } from "./node/services.ts";
import { type Group, targetFiles } from "./node/targets.ts";
import { type Over, thresholdsInForce } from "./rules/in-force.ts";
import { entryOf } from "./node/entry.ts";

const MAX_BYTES = 4 << 20;
/** Has a password in it. */
const EXPORTER = "exporters/postgres_exporter.yml";
const SOURCE = "grafana/provisioning/datasources/pgdba.yml";
const MODE = 0o644;
/** Which run has written there last, for whichever cluster: files that several have in common stay when the one that made them is taken back. */
const LAST_RUN = ".last-run";

const PATTERN = "^[^\\s/:]+:[0-9]+$";
const PLACE = { type: ["string", "null"], pattern: PATTERN } as const;
const PLACES = {
  type: ["object", "null"],
  additionalProperties: { type: "string", pattern: PATTERN },
} as const;

export default defineStep({
  type: "monitor.files",
  summary:
    "Write the files by which a Prometheus, an Alertmanager and a Grafana of the user's own watch a cluster",
  docs: `One folder serves several clusters: rules, jobs and dashboards are for all of them, targets and the login of the exporter are of one cluster each, and those of others stay.
Prometheus 2.43 or later includes \`scrape.yml\` (\`scrape_config_files\`) and \`rules/*.rules.yml\` (\`rule_files\`); Alertmanager has no includes, so that its file is whole. The only file
with a password, \`${EXPORTER}\`, is readable to its owner alone. Members that come and go later are in the files once this is done again; what was given before and is not given again
stays. Alerts are told of the clusters of the folder alone, whatever else that Prometheus watches.`,
  example: `- monitor.files: {to: /etc/prometheus/pgdba}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["to"],
    properties: {
      to: { type: "string", minLength: 1, description: "The folder, as whoever reads it sees it" },
      exporter: {
        ...PLACE,
        description:
          "Where a postgres_exporter answers that reads the file of its login; 127.0.0.1:9187 at first",
      },
      pgdba: {
        ...PLACE,
        description: "Where `pgdba health serve` of this cluster answers; 127.0.0.1:8432 at first",
      },
      pgbouncer: {
        ...PLACES,
        description: "Where the exporter of each PgBouncer answers, by its name",
      },
      node: {
        ...PLACES,
        description: "Where the node_exporter of each member answers, by its name",
      },
      prometheus: { type: ["string", "null"], description: "The URL of Prometheus, for Grafana" },
      receivers: { type: ["array", "null"], items: { type: "string" } },
      thresholds: {
        type: ["object", "null"],
        additionalProperties: { type: "object", additionalProperties: { type: "number" } },
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["folder", "files", "include", "start"],
    properties: {
      folder: { type: "string" },
      files: { type: "array", items: { type: "string" }, description: "Those that were changed" },
      include: { type: "string", description: "What stands in the user's prometheus.yml" },
      start: {
        type: "array",
        items: { type: "string" },
        description: "The commands that have to run for the targets to answer",
      },
    },
  },
  async run(ctx, { to, ...input }) {
    const wish = await wishOf(ctx, to, input as Given);
    const texts = await textsOf(ctx, to, wish);
    const there = new Map([...texts.keys()].map((name) => [name, textAt(join(to, name))]));
    if (ctx.noted === undefined)
      ctx.note({ new: [...texts.keys()].filter((name) => there.get(name) === undefined) });
    await mkdir(to, { recursive: true });
    await writeWhole(join(to, LAST_RUN), `${ctx.run.id}\n`, { mode: MODE });
    const files: string[] = [];
    for (const [name, text] of texts) {
      if (there.get(name) === text) continue;
      await mkdir(dirname(join(to, name)), { recursive: true });
      await writeWhole(join(to, name), text, await accessOf(to, name));
      files.push(name);
    }
    if (files.length === 0) ctx.unchanged();
    const cluster = ctx.target.cluster!;
    return {
      folder: to,
      files,
      include: stringify({
        rule_files: [`${to}/rules/*.rules.yml`],
        scrape_config_files: [`${to}/scrape.yml`],
      }),
      start: [
        [
          `prometheus-postgres-exporter --config.file=${to}/${EXPORTER}`,
          `--web.listen-address=:${wish.exporter.split(":").at(-1)}`,
          ...COLLECTORS,
        ].join(" "),
        ["pgdba health serve --cluster", cluster, "--listen", wish.pgdba.split(":").at(-1)].join(
          " ",
        ),
      ],
    };
  },
  async plan(ctx, { to, ...input }): Promise<Json> {
    const wish = await wishOf(ctx, to, input as Given);
    return { folder: to, writes: [...(await textsOf(ctx, to, wish)).keys()] };
  },
  async undo(ctx, { to }) {
    const { new: made } = (ctx.noted ?? { new: [] }) as { new: string[] };
    const last = textAt(join(to, LAST_RUN))?.trim();
    if (made.length > 0 && last !== undefined && last !== ctx.run.id) {
      ctx.warn(`Run ${last} has written the files in ${to} since: they stay`);
      return ctx.unchanged();
    }
    for (const name of made) await rm(join(to, name), { force: true });
    await rm(join(to, LAST_RUN), { force: true });
    if (made.length === 0) ctx.unchanged();
  },
});

interface Wish {
  exporter: string;
  pgdba: string;
  pgbouncer: Record<string, string>;
  node: Record<string, string>;
  prometheus: string;
  /** Null: those that are there. */
  receivers: string[] | null;
  thresholds: Over;
}
type Given = { [key in keyof Wish]?: Wish[key] | null };

const textAt = (file: string): string | undefined => readTextIfThere(file, { maxBytes: MAX_BYTES });

/**
 * A file that its owner has closed to others stays so: a receiver of theirs may have a password in it. One that was given to another user, as to whom the exporter runs as, stays that
 * one's, which root alone can see to.
 */
async function accessOf(to: string, name: string): Promise<WriteOptions> {
  const there = await stat(join(to, name)).catch(() => null);
  const mode = name === EXPORTER ? 0o600 : there === null ? MODE : there.mode & 0o777;
  const owner = there !== null && userInfo().uid === 0 ? { uid: there.uid, gid: there.gid } : null;
  return { mode, ...(owner && { owner }) };
}

/** What is given, else what was given before. */
async function wishOf(ctx: StepContext, to: string, given: Given): Promise<Wish> {
  const cluster = ctx.target.cluster!;
  const there: Reader = (name) => textAt(join(to, name));
  const places = (job: string) => placesIn(there(`targets/${job}-${cluster}.json`));
  const local = (port: number): string => `127.0.0.1:${port}`;
  return {
    exporter: given.exporter ?? (await exporterIn(there("scrape.yml"))) ?? local(PORT.postgres),
    pgdba: given.pgdba ?? places("pgdba")?.[cluster] ?? local(PORT.pgdba),
    pgbouncer: given.pgbouncer ?? places("pgbouncer") ?? {},
    node: given.node ?? places("node") ?? {},
    prometheus:
      given.prometheus ?? (await prometheusIn(there(SOURCE))) ?? `http://${local(PORT.prometheus)}`,
    receivers: given.receivers ?? null,
    thresholds: given.thresholds ?? thresholdsIn(there(THRESHOLDS)),
  };
}

/** Text by path below the folder. */
async function textsOf(ctx: StepContext, to: string, wish: Wish): Promise<Map<string, string>> {
  const { exporter, receivers, thresholds, prometheus } = wish;
  const entry = await entryOf(ctx);
  const cluster = entry.name;
  const authorities = together(textAt(join(to, AUTHORITIES)) ?? "", trustedBy(entry));
  const texts = new Map<string, string>();
  if (authorities !== "") texts.set(AUTHORITIES, authorities);
  texts.set("scrape.yml", stringify(await scrapeConfig(exporter, authorities !== "")));
  const { rules } = await thresholdsInForce(ctx.library, thresholds);
  for (const [name, text] of Object.entries({ ...RULE_FILES, "thresholds.rules.yml": rules }))
    texts.set(`rules/${name}`, onlyWatched(text));
  texts.set(watchedFile(cluster), watchedRules(cluster));
  texts.set(THRESHOLDS, json(thresholds));
  const targets = targetsOf(cluster, groupsOf(entry, wish), Object.keys(secureOf(entry, {})));
  for (const [job, groups] of Object.entries(targets))
    texts.set(`targets/${job}-${cluster}.json`, json(groups));
  const routes = receivers === null ? textAt(join(to, "alertmanager.yml")) : undefined;
  const alerting =
    routes === undefined
      ? await alertmanagerConfig(receivers ?? [])
      : await withReceiversOf(routes);
  texts.set("alertmanager.yml", stringify(alerting));
  texts.set(EXPORTER, await loginOf(ctx, entry, textAt(join(to, EXPORTER))));
  for (const [name, text] of await grafanaFiles(prometheus, `${to}/grafana/dashboards`))
    texts.set(`grafana/${name}`, text);
  return texts;
}

function groupsOf(entry: ClusterEntry, { pgdba, pgbouncer, node }: Wish): Record<string, Group[]> {
  const { name: cluster } = entry;
  const group = (instance: string, target: string): Group => ({
    targets: [target],
    labels: { cluster, instance },
  });
  const named = (places: Record<string, string>): Group[] =>
    Object.entries(places).map(([instance, place]) => group(instance, place));
  return {
    ...targetFiles(watchedBeside(entry), cluster),
    pgdba: [group(cluster, pgdba)],
    pgbouncer: named(pgbouncer),
    node: named(node),
  };
}

/** The exporter's modules, of which one is this cluster's. JSON is YAML. @throws PgdbaError invalid_config: what is there is no such file */
async function loginOf(
  ctx: StepContext,
  entry: ClusterEntry,
  before: string | undefined,
): Promise<string> {
  const { auth_modules = {} } = (
    before === undefined ? {} : await parseYaml(before, EXPORTER, { code: "invalid_config" })
  ) as { auth_modules?: JsonObject };
  const userpass = {
    username: monitorUser(entry.data) ?? MONITOR_ROLE,
    password: monitorPassword(ctx, entry) ?? null,
  };
  const options = await spoken(ctx, entry, entry.spec?.sslrootcert);
  return json({
    auth_modules: { ...auth_modules, [entry.name]: { type: "userpass", userpass, options } },
  });
}

/** Certificates of authorities, each once. */
function together(before: string, more: readonly string[]): string {
  return more.reduce(
    (all, one) => (all.includes(one.trim()) ? all : `${all}${one.trim()}\n`),
    before,
  );
}
