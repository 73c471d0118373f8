import { stringify } from "yaml";
import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import type { ClusterEntry } from "../../providers/registry/read.ts";
import { must, putProgram } from "../backup/schedule/node-home.ts";
import { defineStep } from "../define.ts";
import { milliseconds } from "../sql/session.ts";
import { MONITOR_ACCOUNT, monitorPassword } from "./account.ts";
import { alertmanagerConfig, withReceiversOf } from "./node/alertmanager.ts";
import { askPrometheus, END_PGDBA, reload, textOf } from "./node/ask.ts";
import { portsOf, withNodes } from "./node/beside.ts";
import { accountsThere, type Home, homeOf, isOfPgdba, json, watchedFiles } from "./node/home-of.ts";
import { renewPassword } from "./node/password.ts";
import { FOLDER, HOME, PORT, type Ports, RULES, RUN } from "./node/places.ts";
import { ALERTMANAGER_FILE, PROMETHEUS_FILE, prometheusConfig } from "./node/prometheus.ts";
import { putFiles } from "./node/put-files.ts";
import { RULE_FILES } from "./node/rules.ts";
import { servicesOf } from "./node/services.ts";
import { GRAFANA_TARGETS, grafanaTargets } from "./node/targets.ts";
import { type Over, thresholdsInForce } from "./rules/in-force.ts";
import { entryOf } from "./node/entry.ts";

const PREPARE = `mkdir -p -m 0700 bin clusters keys secrets monitor/rules monitor/targets && ln -sfn ${RUN} "secrets/$1"`;
const POLL_MS = 500;
const RETENTION = "15d";
const OVER_FILE = `${FOLDER}/thresholds.json`;
const SERVICES_FILE = `${FOLDER}/services.json`;
/** What the programs were told to read last: a run that died may have put files, and told nobody. */
const TOLD_FILE = `${FOLDER}/told`;

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
  needs: ["postgres"],
  uses: ["nodes", "repository"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: {
      node: { type: "string", minLength: 1 },
      beside: {
        type: "boolean",
        default: false,
        description: "It is none of the cluster's own nodes: `monitor.beside` has made it",
      },
      receivers: {
        type: ["array", "null"],
        items: { type: "string", pattern: "^https?://[^\\s]+$" },
        description: "URLs that alerts are posted to; those that are set stay without it",
      },
      retention: {
        type: ["string", "null"],
        pattern: "^[0-9]+[hdwy]$",
        description: `How long samples are kept; stays without it, and is ${RETENTION} at first`,
      },
      thresholds: {
        type: ["object", "null"],
        additionalProperties: { type: "object", additionalProperties: { type: "number" } },
        description: "{check: {param: value}}; those that are set stay without it",
      },
      grafana: {
        type: "boolean",
        default: false,
        description: "A Grafana is to run beside it; without it none is watched",
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
  async run(ctx, { node, beside = false, ...input }) {
    const { receivers: asked, retention: kept, thresholds: given } = input;
    const { grafana = false, wait = "60s" } = input;
    const receivers = asked == null ? null : (asked as string[]);
    const entry = await entryOf(ctx);
    const cluster = entry.name;
    const home = await homeOf(ctx, entry, beside);
    return withNodes(ctx, beside, async (nodes) => {
      const ports = beside ? await portsOf(nodes, node) : PORT;
      const password = monitorPassword(ctx, entry);
      const isRenewed = password !== undefined && (await renewPassword(nodes, node, password));
      await must(nodes, node, ["sh", "-c", PREPARE, "sh", cluster]);
      const isOther = await putProgram(ctx, nodes, node, `${HOME}/bin/pgdba`);
      const over = (given ?? (await overThere(nodes, node))) as Over;
      const retention = (kept ?? (await retentionThere(nodes, node))) as string;
      const wish = { entry, isBeside: beside, home, ports, receivers, retention, over };
      const { read, runs } = await filesOf(ctx, nodes, node, wish);
      // Where one runs, its own step tells whom to ask.
      if (!grafana) read.set(GRAFANA_TARGETS, json(grafanaTargets(cluster, node, null)));
      const put = await putFiles(nodes, node, read);
      const [toldPgdba, toldAll] = ((await textOf(nodes, node, TOLD_FILE)) ?? "").split(" ");
      const ofPgdba = digestOf([...read].filter(([path]) => isOfPgdba(path)));
      const all = digestOf([...read, ...runs]);
      // Those that run are the former, or have read what was there before; they are started again.
      if (isOther || put.some(isOfPgdba) || toldPgdba !== ofPgdba)
        await must(nodes, node, END_PGDBA);
      put.push(...(await putFiles(nodes, node, runs)));
      if (put.length > 0 || toldAll !== all) {
        await reload(nodes, node);
        await putFiles(nodes, node, new Map([[TOLD_FILE, `${ofPgdba} ${all}`]]));
      } else if (!isOther && !isRenewed) ctx.unchanged();
      const seen = await settled(ctx, nodes, node, milliseconds(wait) ?? 0, ports.prometheus);
      return { node, files: put, ...seen };
    });
  },
  async plan(_ctx, { node }): Promise<Json> {
    return { node, puts: Object.keys(RULE_FILES).map((name) => `${RULES}/${name}`) };
  },
});

const digestOf = (files: readonly (readonly [string, string])[]): string =>
  new Bun.CryptoHasher("sha256")
    .update(JSON.stringify(files.toSorted(([one], [other]) => (one < other ? -1 : 1))))
    .digest("hex");

interface Wish {
  entry: ClusterEntry;
  isBeside: boolean;
  home: Home;
  ports: Ports;
  receivers: readonly string[] | null;
  retention: string;
  over: Over;
}

/** The thresholds that were set when it was last done. */
async function overThere(nodes: Nodes, node: string): Promise<Over> {
  return JSON.parse((await textOf(nodes, node, OVER_FILE)) ?? "{}") as Over;
}

/** How long samples were kept when it was last done. */
async function retentionThere(nodes: Nodes, node: string): Promise<string> {
  const services = (await textOf(nodes, node, SERVICES_FILE)) ?? "";
  return /--storage\.tsdb\.retention\.time=(\w+)/.exec(services)?.[1] ?? RETENTION;
}

/** Text by path: what the programs read, and, to be put last, what is to run: it is begun by that file. */
async function filesOf(
  ctx: StepContext,
  nodes: Nodes,
  node: string,
  { entry, isBeside, home, ports, receivers, retention, over }: Wish,
): Promise<{ read: Map<string, string>; runs: Map<string, string> }> {
  const { name: cluster, data } = entry;
  const { watched, options, secure, bind } = home;
  const files = watchedFiles(cluster, home, node, ports);
  const { rules, checks } = await thresholdsInForce(ctx.library, over);
  const texts = { ...RULE_FILES, "thresholds.rules.yml": rules };
  for (const [name, text] of Object.entries(texts)) files.set(`${RULES}/${name}`, text);
  files.set(OVER_FILE, json(over));
  const there = receivers === null ? await textOf(nodes, node, ALERTMANAGER_FILE) : null;
  const routes =
    there === null ? await alertmanagerConfig(receivers ?? []) : await withReceiversOf(there);
  files.set(ALERTMANAGER_FILE, stringify(routes));
  files.set(PROMETHEUS_FILE, stringify(await prometheusConfig(secure, ports)));
  const accounts = accountsThere(entry, isBeside);
  const asks = isBeside ? accounts["pgbouncer_admin"] : accounts[MONITOR_ACCOUNT];
  const poolers = asks === undefined ? [] : watched.poolers.map((one) => ({ ...one, user: asks }));
  const hasPatroni = data.patroni !== undefined;
  const { hasDisks } = watched;
  const wish = { cluster, options, retention, accounts, poolers, hasPatroni, hasDisks };
  const services = servicesOf({ ...wish, ports, bind, checks });
  return { read: files, runs: new Map([[SERVICES_FILE, json(services)]]) };
}

interface Target {
  labels: { job: string; instance: string };
  health: string;
  lastError: string;
}

/** An exporter answers for a server that does not let it in, too. */
const DEAF = "pg_up == 0 or pgbouncer_up == 0";

/** Those whose exporter answers, and which do not answer the exporter. */
async function deafOf(
  nodes: Nodes,
  node: string,
  port: number,
  targets: readonly Target[],
): Promise<Target[]> {
  const path = `/api/v1/query?${new URLSearchParams({ query: DEAF }).toString()}`;
  const told = await askPrometheus(nodes, node, path, port);
  const deaf = (told?.["result"] ?? []) as unknown as { metric: Target["labels"] }[];
  return targets
    .filter(
      ({ health, labels: { job, instance } }) =>
        health === "up" &&
        deaf.some(({ metric }) => metric.job === job && metric.instance === instance),
    )
    .map((one) => ({ ...one, lastError: "its exporter runs, and can't log in there" }));
}

/** Waits until every target has answered. What has not by then is told, and is no error: a node may be down. */
async function settled(ctx: StepContext, nodes: Nodes, node: string, waitMs: number, port: number) {
  const end = ctx.clock.monotonic() + waitMs;
  for (;;) {
    const told = await askPrometheus(nodes, node, "/api/v1/targets?state=active", port);
    const targets = (told?.["activeTargets"] ?? []) as unknown as Target[];
    const down = targets.filter(({ health }) => health !== "up");
    const silent = down.concat(await deafOf(nodes, node, port, targets));
    const isOver = ctx.clock.monotonic() >= end;
    if ((targets.length > 0 && silent.length === 0) || isOver) {
      if (told === null)
        throw new PgdbaError("timeout", `Prometheus on ${node} does not answer`, {
          hint: `The log of ${node} tells why.`,
          retryable: true,
        });
      const rules = await askPrometheus(nodes, node, "/api/v1/rules?type=alert", port);
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
