import { stringify } from "yaml";
import { PgdbaError } from "../../engine/errors.ts";
import { parseYaml } from "../../engine/shared/yaml.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import { must } from "../backup/schedule/node-home.ts";
import { defineStep } from "../define.ts";
import { askPrometheus, reload, textOf } from "./node/ask.ts";
import { portsOf, withNodes } from "./node/beside.ts";
import { FOLDER, OWN_RULES as FILE, PORT } from "./node/places.ts";
import {
  type Alert,
  alertIn,
  type OwnRules,
  type Rule,
  withAlert,
  withRule,
} from "./node/own-rules.ts";
import { putOver } from "./node/put-files.ts";
import { RULE_FILES } from "./node/rules.ts";

const MARK = `printf '%s' "$2" > "$1"`;
const POLL_MS = 250;
/** It is evaluated every three seconds. */
const WAIT_MS = 15_000;
/** Each of them is lost to another that has put its rule. */
const TRIES = 20;

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
  uses: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "name"],
    properties: {
      node: { type: "string", minLength: 1 },
      beside: {
        type: "boolean",
        default: false,
        description: "It is none of the cluster's own nodes: `monitor.beside` has made it",
      },
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
  async run(ctx, { node, beside = false, name, rule = null }) {
    if (ofPgdba(name))
      throw new PgdbaError("invalid_param", `${name} is a rule of pgdba's own`, {
        hint: "Choose another name. Its threshold is changed with the `--thresholds` of `pgdba monitor setup`.",
      });
    return withNodes(ctx, beside, async (nodes) => {
      const port = beside ? (await portsOf(nodes, node)).prometheus : PORT.prometheus;
      const at = { nodes, node };
      // One that a dead run has taken out of the file is in force until Prometheus reads that again.
      const isLeft =
        rule === null &&
        (ctx.noted !== undefined || (await inForce({ ...at, port }, name)) !== undefined);
      const change = (rules: OwnRules): OwnRules => {
        if (rule === null && !isLeft && alertIn(rules, name) === null)
          throw new PgdbaError("invalid_param", `There is no rule ${name} of your own`, {
            hint: `There are: ${namesIn(rules).join(", ") || "none"}.`,
          });
        return withRule(rules, ctx.target.cluster!, name, rule as Rule | null);
      };
      const begun = ctx.clock.monotonic();
      const last = await textOf(nodes, node, markOf(name));
      const { was, is } = await edited(at, change, (before) => {
        if (ctx.noted === undefined) ctx.note({ before, last });
      });
      const former = alertIn(was.rules, name);
      const replaced = rule !== null && former !== null;
      const tell = { name, file: FILE, replaced, rules: namesIn(is.rules) };
      // Also where the rule is there already: a dead run that has put it and is given up later must not take it from this one.
      const mark = () => must(nodes, node, ["sh", "-c", MARK, "sh", markOf(name), ctx.run.id]);
      const expr = alertIn(is.rules, name)?.expr ?? null;
      if (is.text === was.text) {
        const isThere = await isInForce({ ...at, port }, name, expr);
        // A dead run may have put the file, and not told Prometheus.
        await reload(nodes, node);
        const state = await readBack(ctx, { ...at, port }, name, expr);
        await mark();
        if (isThere) ctx.unchanged();
        return { ...tell, state, seconds: isThere ? 0 : (ctx.clock.monotonic() - begun) / 1000 };
      }
      try {
        await reload(nodes, node);
        const state = await readBack(ctx, { ...at, port }, name, expr);
        await mark();
        return { ...tell, state, seconds: (ctx.clock.monotonic() - begun) / 1000 };
      } catch (error) {
        await putBack(at, was.text, is.text, name, former);
        await readBack(ctx, { ...at, port }, name, former?.expr ?? null).catch(() => {});
        ctx.unchanged();
        throw error;
      }
    });
  },
  async plan(ctx, { node, beside = false, name, rule = null }): Promise<Json> {
    const rules = await withNodes(ctx, beside, async (nodes) =>
      parsed((await textOf(nodes, node, FILE)) ?? ""),
    );
    const wanted = withRule(rules, ctx.target.cluster!, name, rule as Rule | null);
    return { file: FILE, rules: namesIn(wanted) };
  },
  async undo(ctx, { node, beside = false, name, rule = null }) {
    const noted = ctx.noted as { before: string; last: string | null } | undefined;
    if (noted === undefined) return ctx.unchanged();
    const last = await withNodes(ctx, beside, (nodes) => textOf(nodes, node, markOf(name)));
    if (last !== noted.last && last !== ctx.run.id) {
      ctx.warn(`Run ${last} has set ${name} since: it stays as that one has left it`);
      return ctx.unchanged();
    }
    const before = await parsed(noted.before);
    const put = textFor(withRule(before, ctx.target.cluster!, name, rule as Rule | null));
    await withNodes(ctx, beside, (nodes) =>
      putBack({ nodes, node }, noted.before, put, name, alertIn(before, name)),
    );
  },
});

/** Which run has set a rule last. */
const markOf = (name: string): string => `${FOLDER}/own-rule.${name}`;

const namesIn = ({ groups }: OwnRules): string[] =>
  groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));

function ofPgdba(name: string): boolean {
  const said = new RegExp(`alert: ${name}$`, "m");
  return Object.values(RULE_FILES).some((text) => said.test(text));
}

async function parsed(text: string): Promise<OwnRules> {
  if (text === "") return { groups: [{ name: "own", interval: "3s", rules: [] }] };
  return (await parseYaml(text, FILE, { code: "step_refused" })) as unknown as OwnRules;
}

const textFor = (rules: OwnRules): string =>
  `# Alerts of your own: pgdba monitor alerts add | remove.\n${stringify(rules, { lineWidth: 0 })}`;

interface State {
  text: string;
  rules: OwnRules;
}

/** Changes the file as it is, again where somebody else has changed it meanwhile: none of several that add rules at a time loses its own. */
async function edited(
  { nodes, node }: Pick<Where, "nodes" | "node">,
  change: (rules: OwnRules) => OwnRules,
  onBefore: (text: string) => void = () => {},
): Promise<{ was: State; is: State }> {
  for (let tries = 1; tries <= TRIES; tries++) {
    const text = (await textOf(nodes, node, FILE)) ?? "";
    const was = { text, rules: await parsed(text) };
    const rules = change(was.rules);
    const is = { text: textFor(rules), rules };
    if (is.text === text) return { was, is };
    onBefore(text);
    if (await putOver(nodes, node, FILE, { was: text, content: is.text })) return { was, is };
  }
  throw new PgdbaError("step_failed", `${FILE} on ${node} is changed by others all the time`, {
    hint: "Nothing was changed. Run it again when they have ended.",
    retryable: true,
  });
}

/** The file as it was where it is still what was put; where others have changed it since, only the rule of that name goes back. */
async function putBack(
  at: Pick<Where, "nodes" | "node">,
  before: string,
  put: string,
  name: string,
  former: Alert | null,
): Promise<void> {
  if (!(await putOver(at.nodes, at.node, FILE, { was: put, content: before })))
    await edited(at, (rules) => withAlert(rules, name, former));
  await reload(at.nodes, at.node);
}

interface InForce {
  name: string;
  query: string;
  state: string;
  health: string;
  lastError?: string;
}

interface Where {
  nodes: Nodes;
  node: string;
  port: number;
}

async function inForce({ nodes, node, port }: Where, name: string): Promise<InForce | undefined> {
  const told = await askPrometheus(nodes, node, "/api/v1/rules?type=alert", port);
  const groups = (told?.["groups"] ?? []) as unknown as { file: string; rules: InForce[] }[];
  return groups
    .filter(({ file }) => file.endsWith("/own.rules.yml"))
    .flatMap(({ rules }) => rules)
    .find((one) => one.name === name);
}

const bare = (expr: string): string => expr.replaceAll(/\s/g, "");

/** Null where this Prometheus does not tell. */
async function asWritten({ nodes, node, port }: Where, expr: string): Promise<string | null> {
  const path = `/api/v1/format_query?${new URLSearchParams({ query: expr }).toString()}`;
  const told = (await askPrometheus(nodes, node, path, port)) as unknown;
  return typeof told === "string" ? bare(told) : null;
}

/** Prometheus evaluates this expression under that name; null: it has none. */
async function isInForce(where: Where, name: string, expr: string | null): Promise<boolean> {
  const told = await inForce(where, name);
  if (told === undefined || expr === null) return told === undefined && expr === null;
  const query = await asWritten(where, expr);
  return told.health === "ok" && (query === null || bare(told.query) === query);
}

/** Waits until Prometheus has evaluated the rule, or has forgotten it. @throws PgdbaError step_failed */
async function readBack(
  ctx: StepContext,
  where: Where,
  name: string,
  expr: string | null,
): Promise<string | null> {
  const end = ctx.clock.monotonic() + WAIT_MS;
  // Prometheus tells expressions as it writes them: the former rule of that name must not be taken for the new one.
  const query = expr === null ? null : await asWritten(where, expr);
  for (;;) {
    const told = await inForce(where, name);
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
        `Prometheus on ${where.node} has not taken the rules over within ${WAIT_MS / 1000} s`,
        { hint: `They were put back. The log of ${where.node} tells why.` },
      );
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
}
