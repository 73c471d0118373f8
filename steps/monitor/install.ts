import { stringify } from "yaml";
import { readText } from "../../engine/shared/read-file.ts";
import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import { clusterFile } from "../../providers/registry/folder.ts";
import { type ClusterEntry, readClusterFile } from "../../providers/registry/read.ts";
import { placeHere } from "../../providers/registry/repository.ts";
import { keyOfStore } from "../backup/archive/kept-key.ts";
import { must, putProgram } from "../backup/schedule/node-home.ts";
import { defineStep } from "../define.ts";
import { milliseconds } from "../sql/session.ts";
import { MONITOR_ACCOUNT } from "./account.ts";
import { alertmanagerConfig } from "./node/alertmanager.ts";
import { askPrometheus, checked, reload } from "./node/ask.ts";
import { entryThere, watchedIn } from "./node/home.ts";
import { FOLDER, HOME, RULES, RUN, TARGETS } from "./node/places.ts";
import { ALERTMANAGER_FILE, PROMETHEUS_FILE, prometheusConfig } from "./node/prometheus.ts";
import { RULE_FILES } from "./node/rules.ts";
import { servicesOf } from "./node/services.ts";
import { type Over, thresholdsInForce } from "./rules/in-force.ts";
import { targetFiles } from "./node/targets.ts";

const PREPARE = `mkdir -p -m 0700 bin clusters keys secrets monitor/rules monitor/targets && ln -sfn ${RUN} "secrets/$1"`;
const POLL_MS = 500;
/** What pgdba reads there when it starts. */
const OF_PGDBA = [`${HOME}/clusters/`, `${HOME}/keys/`];

export default defineStep({
  type: "monitor.install",
  summary:
    "Give a node that monitors what it is to do: pgdba, the targets, the rules, the receivers",
  docs: `Done again it brings all of it up to date: that is how new rules and receivers come there. Rules and configuration are checked there by \`promtool\` and \`amtool\`
before anything is put in force. It ends when Prometheus and Alertmanager are ready, and every job has answered a scrape, or \`wait\` is over; \`silent\` names the
targets that have not.`,
  example: `- monitor.install:
    node: monitor1
    receivers: ["http://alerts.example.com/hook"]
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["nodes", "patroni"],
  uses: ["repository"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: {
      node: { type: "string", minLength: 1 },
      receivers: {
        type: ["array", "null"],
        items: { type: "string", pattern: "^https?://[^\\s]+$" },
        description: "URLs that alerts are posted to; those that are set stay without it",
      },
      retention: {
        type: "string",
        pattern: "^[0-9]+[hdwy]$",
        default: "15d",
        description: "How long samples are kept",
      },
      thresholds: {
        type: ["object", "null"],
        additionalProperties: { type: "object", additionalProperties: { type: "number" } },
        description: "{check: {param: value}}; those that are set stay without it",
      },
      wait: { type: "string", format: "duration", default: "60s" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "files", "targets", "up", "silent", "rules"],
    properties: {
      node: { type: "string" },
      files: { type: "array", items: { type: "string" }, description: "Those that were changed" },
      targets: { type: "integer" },
      up: { type: "integer" },
      silent: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["job", "instance", "why"],
          properties: {
            job: { type: "string" },
            instance: { type: "string" },
            why: { type: "string" },
          },
        },
      },
      rules: { type: "integer", description: "Alerting rules that are in force" },
    },
  },
  async run(ctx, { node, receivers: asked, retention = "15d", thresholds: given, wait = "60s" }) {
    const receivers = asked == null ? null : (asked as string[]);
    const nodes = await ctx.use("nodes");
    const cluster = ctx.target.cluster!;
    const entry = (await readClusterFile(cluster, clusterFile(ctx.run.stateDir, cluster)))!;
    await must(nodes, node, ["sh", "-c", PREPARE, "sh", cluster]);
    const isOther = await putProgram(ctx, nodes, node, `${HOME}/bin/pgdba`);
    const over = (given ?? (await overThere(nodes, node))) as Over;
    const { read, runs } = await filesOf(ctx, nodes, node, { entry, receivers, retention, over });
    const put = await putFiles(nodes, node, read);
    // Those that run are the former, or have read what was there before; they are started again.
    if (isOther || put.some((path) => OF_PGDBA.some((folder) => path.startsWith(folder))))
      await must(nodes, node, ["sh", "-c", "pkill -x pgdba; true"]);
    put.push(...(await putFiles(nodes, node, runs)));
    if (put.length === 0 && !isOther) ctx.unchanged();
    if (put.length > 0) await reload(nodes, node);
    const seen = await settled(ctx, nodes, node, milliseconds(wait) ?? 0);
    return { node, files: put, ...seen };
  },
  async plan(_ctx, { node }): Promise<Json> {
    return { node, puts: Object.keys(RULE_FILES).map((name) => `${RULES}/${name}`) };
  },
});

interface Wish {
  entry: ClusterEntry;
  receivers: readonly string[] | null;
  retention: string;
  over: Over;
}

const OVER_FILE = `${FOLDER}/thresholds.json`;

/** The thresholds that were set when it was last done. */
async function overThere(nodes: Nodes, node: string): Promise<Over> {
  const { exit_code, stdout } = await nodes.exec(node, ["cat", OVER_FILE]);
  return exit_code === 0 ? (JSON.parse(stdout) as Over) : {};
}

/** Text by path: what the programs read, and, to be put last, what is to run: it is begun by that file. */
async function filesOf(
  ctx: StepContext,
  nodes: Nodes,
  node: string,
  { entry, receivers, retention, over }: Wish,
): Promise<{ read: Map<string, string>; runs: Map<string, string> }> {
  const { name: cluster, data } = entry;
  const tls = data.tls !== undefined;
  const watched = watchedIn(cluster, data);
  const files = new Map<string, string>();
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  files.set(`${HOME}/clusters/${cluster}.yaml`, json(entryThere(cluster, data)));
  const place = data.repository && placeHere(entry, data.repository);
  if (place?.kind === "object_store") {
    files.set(`${HOME}/keys/repository`, `${keyOfStore(ctx, place)}\n`);
    if (place.cafile !== undefined)
      files.set(`${HOME}/keys/repository.ca`, readText(place.cafile, { maxBytes: 1024 * 1024 }));
  }
  for (const [job, groups] of Object.entries(targetFiles(watched, node)))
    files.set(`${TARGETS}/${job}.json`, json(groups));
  const { rules, checks } = await thresholdsInForce(ctx.library, over);
  const texts = { ...RULE_FILES, "thresholds.rules.yml": rules };
  for (const [name, text] of Object.entries(texts)) files.set(`${RULES}/${name}`, text);
  files.set(OVER_FILE, json(over));
  const kept = receivers !== null || !(await isThere(nodes, node, ALERTMANAGER_FILE));
  if (kept) files.set(ALERTMANAGER_FILE, stringify(await alertmanagerConfig(receivers ?? [])));
  files.set(PROMETHEUS_FILE, stringify(await prometheusConfig(tls)));
  const accounts = Object.fromEntries(
    [MONITOR_ACCOUNT, "pgbouncer_admin"].flatMap((name) => {
      const user = data.accounts?.[name]?.user;
      return user === undefined ? [] : [[name, user]];
    }),
  );
  const poolers = accounts["pgbouncer_admin"] === undefined ? [] : watched.poolers;
  const services = servicesOf({ cluster, tls, retention, accounts, poolers, checks });
  return { read: files, runs: new Map([[`${FOLDER}/services.json`, json(services)]]) };
}

async function isThere(nodes: Nodes, node: string, path: string): Promise<boolean> {
  return (await nodes.exec(node, ["test", "-e", path])).exit_code === 0;
}

/** Puts those that are other than what is there, once all of them are known to be right. Gives their paths. */
async function putFiles(
  nodes: Nodes,
  node: string,
  files: ReadonlyMap<string, string>,
): Promise<string[]> {
  const others: [path: string, content: string][] = [];
  for (const [path, content] of files) {
    const there = await nodes.exec(node, ["cat", path], { maxBytes: 4 << 20 });
    if (there.exit_code === 0 && there.stdout === content) continue;
    if (path.startsWith(`${RULES}/`))
      await checked(nodes, node, ["promtool", "check", "rules"], content);
    if (path === ALERTMANAGER_FILE) await checked(nodes, node, ["amtool", "check-config"], content);
    others.push([path, content]);
  }
  for (const [path, content] of others) await nodes.put(node, path, { content }, { mode: 0o600 });
  return others.map(([path]) => path);
}

interface Target {
  labels: { job: string; instance: string };
  health: string;
  lastError: string;
}

/** Waits until every target has answered. What has not by then is told, and is no error: a node may be down. */
async function settled(ctx: StepContext, nodes: Nodes, node: string, waitMs: number) {
  const end = ctx.clock.monotonic() + waitMs;
  for (;;) {
    const told = await askPrometheus(nodes, node, "/api/v1/targets?state=active");
    const targets = (told?.["activeTargets"] ?? []) as unknown as Target[];
    const silent = targets.filter(({ health }) => health !== "up");
    const isOver = ctx.clock.monotonic() >= end;
    if ((targets.length > 0 && silent.length === 0) || isOver) {
      if (told === null)
        throw new PgdbaError("timeout", `Prometheus on ${node} does not answer`, {
          hint: `The log of ${node} tells why.`,
          retryable: true,
        });
      const rules = await askPrometheus(nodes, node, "/api/v1/rules?type=alert");
      const groups = (rules?.["groups"] ?? []) as { rules: unknown[] }[];
      return {
        targets: targets.length,
        up: targets.length - silent.length,
        silent: silent.map(({ labels, lastError, health }) => ({
          job: labels.job,
          instance: labels.instance,
          why: lastError || health,
        })),
        rules: groups.reduce((sum, group) => sum + group.rules.length, 0),
      };
    }
    ctx.progress({
      done: targets.length - silent.length,
      total: targets.length,
      unit: "targets",
      text: "waiting for the first scrapes",
    });
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
}
