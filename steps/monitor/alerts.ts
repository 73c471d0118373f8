import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { rulesThere } from "./node/rules-there.ts";
import {
  askRules,
  type Group,
  type Heard,
  rowsOf,
  rowsWithoutPrometheus,
  type Written,
} from "./watch/alerts.ts";
import { orWarn, type Silence, silencesOf } from "./watch/silences.ts";

const STATES = ["firing", "pending", "inactive", "broken", "unknown"] as const;
const TEXT = { type: ["string", "null"] } as const;
const TEXTS = { type: "array", items: { type: "string" } } as const;

export default defineStep({
  type: "monitor.alerts",
  summary:
    "The alerting rules in force, with state, value, since when, and what keeps one from being told",
  docs: `Asks Prometheus for the rules and Alertmanager for who hears of them. Where Alertmanager does not answer, \`told\` is false, and nothing is said of silences and receivers.
Where Prometheus does not, \`evaluated\` is false: those fire that Alertmanager still has, which forgets an alert a minute or some after it was last told of it, and of the rules, as they stand in the files,
no state is known. Alerts of other clusters that the same Prometheus watches are left out.`,
  example: `- monitor.alerts: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["monitoring"],
  uses: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      states: {
        type: "array",
        items: { type: "string", enum: STATES },
        default: [],
        description: "Only these; all without any",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["alerts", "rules", "firing", "pending", "told", "evaluated"],
    properties: {
      alerts: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: [
            "alert",
            "severity",
            "state",
            "instance",
            "labels",
            "value",
            "since",
            "silenced_by",
            "inhibited_by",
            "receivers",
            "text",
            "for_seconds",
            "group",
            "file",
          ],
          properties: {
            alert: { type: "string" },
            severity: TEXT,
            state: { type: "string", enum: STATES },
            instance: { ...TEXT, description: "The member that it is about" },
            labels: { type: "object" },
            value: { type: ["number", "null"], description: "What the rule's expression gives" },
            since: TEXT,
            silenced_by: { ...TEXTS, description: "Silences, with their end" },
            inhibited_by: { ...TEXTS, description: "Worse alerts that stand for it" },
            receivers: TEXTS,
            text: { ...TEXT, description: "What it says; of a broken rule, the error" },
            for_seconds: {
              type: ["number", "null"],
              description: "How long it must last before the rule fires",
            },
            group: TEXT,
            file: TEXT,
          },
        },
      },
      rules: { type: "integer" },
      firing: { type: ["integer", "null"], description: "Null where nobody tells" },
      pending: { type: ["integer", "null"], description: "Only Prometheus tells" },
      told: { type: "boolean", description: "Alertmanager answers" },
      evaluated: { type: "boolean", description: "Prometheus answers" },
    },
  },
  async run(ctx, { states = [] }) {
    const cluster = ctx.target.cluster!;
    const [groups, { heard, silences, isHeard }] = await Promise.all([
      groupsOf(ctx),
      heardOf(ctx, cluster),
    ]);
    const files = groups === null ? await rulesThere(ctx) : [];
    const all =
      groups === null
        ? rowsWithoutPrometheus(cluster, files, heard, silences)
        : rowsOf(cluster, groups, heard, silences);
    const count = (state: string): number => all.filter((one) => one.state === state).length;
    return {
      alerts: states.length === 0 ? all : all.filter(({ state }) => states.includes(state)),
      rules:
        groups === null
          ? alertsIn(files)
          : groups.reduce((sum, { rules }) => sum + rules.length, 0),
      firing: groups === null && !isHeard ? null : count("firing"),
      pending: groups === null ? null : count("pending"),
      told: isHeard,
      evaluated: groups !== null,
    };
  },
});

const alertsIn = (files: readonly Written[]): number =>
  files
    .flatMap(({ groups }) => groups.flatMap(({ rules }) => rules))
    .filter(({ alert }) => alert !== undefined).length;

/** Null where Prometheus does not tell. */
function groupsOf(ctx: StepContext): Promise<Group[] | null> {
  const said = "Only Alertmanager and the files of rules are told of";
  return orWarn<Group[] | null>(ctx, true, said, null, async () =>
    askRules(await ctx.use("monitoring")),
  );
}

function heardOf(ctx: StepContext, cluster: string) {
  const none = { heard: [] as Heard[], silences: [] as Silence[], isHeard: false };
  return orWarn(ctx, true, "Nothing is known of silences and receivers", none, async () => {
    const monitoring = await ctx.use("monitoring");
    const heard = (await monitoring.ask("alertmanager", "/api/v2/alerts")) as unknown as Heard[];
    return { heard, silences: await silencesOf(monitoring, cluster), isHeard: true };
  });
}
