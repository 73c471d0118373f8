import { stringify } from "yaml";
import { PgdbaError } from "../../engine/errors.ts";
import { parseYaml } from "../../engine/shared/yaml.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { askPrometheus, checked, reload } from "./node/ask.ts";
import { RULES } from "./node/places.ts";
import { type Rule, withRule, type OwnRules } from "./node/own-rules.ts";
import { RULE_FILES } from "./node/rules.ts";

const FILE = `${RULES}/own.rules.yml`;
const POLL_MS = 250;
/** It is evaluated every three seconds. */
const WAIT_MS = 15_000;

export default defineStep({
  type: "monitor.own-rule",
  summary: "Put an alerting rule of the user's own in force, or take it away",
  docs: `The rules stand in a file of their own on the node that monitors, \`own.rules.yml\`, which \`monitor setup\` leaves alone. The file is checked by \`promtool\` there, put in its place,
and Prometheus reads it; then the rule is read back from Prometheus. A rule that is not there in time, or that can't be evaluated, is taken back, and so is the
step. A rule of that name is replaced. Without \`rule\` the one of that name goes. Names of pgdba's own rules are refused.`,
  example: `- monitor.own-rule:
    node: monitor1
    name: QueueLong
    rule: {expr: "shop_queue_length > 1000", for: 5m, severity: warning, summary: The queue is long}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "name"],
    properties: {
      node: { type: "string", minLength: 1 },
      name: { type: "string", pattern: "^[A-Za-z_][A-Za-z0-9_]*$", maxLength: 100 },
      rule: {
        type: ["object", "null"],
        additionalProperties: false,
        required: ["expr", "severity", "summary"],
        properties: {
          expr: { type: "string", minLength: 1, description: "PromQL" },
          for: { type: "string", format: "duration", default: "0s" },
          severity: { type: "string", enum: ["warning", "critical"] },
          summary: { type: "string", minLength: 1 },
          description: { type: ["string", "null"] },
        },
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["name", "file", "replaced", "state", "rules", "seconds"],
    properties: {
      name: { type: "string" },
      file: { type: "string" },
      replaced: { type: "boolean", description: "There was another one of that name" },
      state: { type: ["string", "null"], description: "As Prometheus tells it; null: it is gone" },
      rules: { type: "array", items: { type: "string" }, description: "All of the user's own" },
      seconds: { type: "number", description: "Until Prometheus had it in force" },
    },
  },
  async run(ctx, { node, name, rule = null }) {
    const nodes = await ctx.use("nodes");
    if (ofPgdba(name))
      throw new PgdbaError("invalid_param", `${name} is a rule of pgdba's own`, {
        hint: "Choose another name. Its threshold is changed with the `--thresholds` of `pgdba monitor setup`.",
      });
    const before = await read(nodes, node);
    const rules = await parsed(before);
    const wanted = withRule(rules, ctx.target.cluster!, name, rule as Rule | null);
    const replaced = rules.groups[0]!.rules.some(({ alert }) => alert === name);
    if (rule === null && !replaced)
      throw new PgdbaError("invalid_param", `There is no rule ${name} of your own`, {
        hint: `There are: ${namesIn(rules).join(", ") || "none"}.`,
      });
    if (ctx.noted === undefined) ctx.note({ before });
    const text = `# Alerts of your own: pgdba monitor alerts add | remove.\n${stringify(wanted, { lineWidth: 0 })}`;
    const begun = ctx.clock.monotonic();
    const tell = { name, file: FILE, replaced: rule !== null && replaced, rules: namesIn(wanted) };
    if (text === before) {
      ctx.unchanged();
      return { ...tell, state: (await inForce(nodes, node, name))?.state ?? null, seconds: 0 };
    }
    await checked(nodes, node, ["promtool", "check", "rules"], text);
    await put(nodes, node, text);
    try {
      const expr = wanted.groups[0]!.rules.find(({ alert }) => alert === name)?.expr ?? null;
      const state = await readBack(ctx, nodes, node, name, expr);
      return { ...tell, state, seconds: (ctx.clock.monotonic() - begun) / 1000 };
    } catch (error) {
      await put(nodes, node, before);
      const former = rules.groups[0]?.rules.find(({ alert }) => alert === name)?.expr ?? null;
      await readBack(ctx, nodes, node, name, former).catch(() => {});
      ctx.unchanged();
      throw error;
    }
  },
  async plan(ctx, { node, name, rule = null }): Promise<Json> {
    const rules = await parsed(await read(await ctx.use("nodes"), node));
    const wanted = withRule(rules, ctx.target.cluster!, name, rule as Rule | null);
    return { file: FILE, rules: namesIn(wanted) };
  },
  async undo(ctx, { node }) {
    const noted = ctx.noted as { before: string } | undefined;
    if (noted === undefined) return ctx.unchanged();
    await put(await ctx.use("nodes"), node, noted.before);
  },
});

const namesIn = ({ groups }: OwnRules): string[] =>
  groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));

function ofPgdba(name: string): boolean {
  const said = new RegExp(`alert: ${name}$`, "m");
  return Object.values(RULE_FILES).some((text) => said.test(text));
}

/** The text of the file; empty where there is none. */
async function read(nodes: Nodes, node: string): Promise<string> {
  const { exit_code, stdout } = await nodes.exec(node, ["cat", FILE], { maxBytes: 4 << 20 });
  return exit_code === 0 ? stdout : "";
}

async function parsed(text: string): Promise<OwnRules> {
  if (text === "") return { groups: [{ name: "own", interval: "3s", rules: [] }] };
  return (await parseYaml(text, FILE, { code: "step_refused" })) as unknown as OwnRules;
}

async function put(nodes: Nodes, node: string, content: string): Promise<void> {
  if (content === "") await nodes.exec(node, ["rm", "-f", FILE]);
  else await nodes.put(node, FILE, { content }, { mode: 0o600 });
  await reload(nodes, node);
}

interface InForce {
  name: string;
  query: string;
  state: string;
  health: string;
  lastError?: string;
}

async function inForce(nodes: Nodes, node: string, name: string): Promise<InForce | undefined> {
  const told = await askPrometheus(nodes, node, "/api/v1/rules?type=alert");
  const groups = (told?.["groups"] ?? []) as unknown as { file: string; rules: InForce[] }[];
  return groups
    .filter(({ file }) => file.endsWith("/own.rules.yml"))
    .flatMap(({ rules }) => rules)
    .find((one) => one.name === name);
}

const bare = (expr: string): string => expr.replaceAll(/\s/g, "");

/** Null where this Prometheus does not tell. */
async function asWritten(nodes: Nodes, node: string, expr: string): Promise<string | null> {
  const path = `/api/v1/format_query?${new URLSearchParams({ query: expr }).toString()}`;
  const told = (await askPrometheus(nodes, node, path)) as unknown;
  return typeof told === "string" ? bare(told) : null;
}

/** Waits until Prometheus has evaluated the rule, or has forgotten it. @throws PgdbaError step_failed */
async function readBack(
  ctx: StepContext,
  nodes: Nodes,
  node: string,
  name: string,
  expr: string | null,
): Promise<string | null> {
  const end = ctx.clock.monotonic() + WAIT_MS;
  // Prometheus tells expressions as it writes them: the former rule of that name must not be taken for the new one.
  const query = expr === null ? null : await asWritten(nodes, node, expr);
  for (;;) {
    const told = await inForce(nodes, node, name);
    const isFormer = told !== undefined && query !== null && bare(told.query) !== query;
    const now = isFormer ? { ...told, health: "former" } : told;
    if (expr === null && now === undefined) return null;
    if (expr !== null && now?.health === "err")
      throw new PgdbaError("step_failed", `${name} can't be evaluated: ${now.lastError}`, {
        hint: "It was taken back. Try its expression in Prometheus.",
      });
    if (expr !== null && now?.health === "ok") return now.state;
    if (ctx.clock.monotonic() >= end)
      throw new PgdbaError(
        "step_failed",
        `Prometheus on ${node} has not taken the rules over within ${WAIT_MS / 1000} s`,
        { hint: `They were put back. The log of ${node} tells why.` },
      );
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
}
