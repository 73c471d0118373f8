import { toPgdbaError } from "../../engine/errors.ts";
import { defineStep } from "../define.ts";
import { type Group, type Heard, rowsOf } from "./watch/alerts.ts";
import { silencesOf } from "./watch/silences.ts";

const TEXT = { type: ["string", "null"] } as const;
const TEXTS = { type: "array", items: { type: "string" } } as const;

export default defineStep({
  type: "monitor.alerts",
  summary:
    "The alerting rules in force, with state, value, since when, and what keeps one from being told",
  docs: `Asks Prometheus for the rules and Alertmanager for who hears of them. Where Alertmanager does not answer, \`told\` is false, and nothing is said of silences and receivers.
Alerts of other clusters that the same Prometheus watches are left out.`,
  example: `- monitor.alerts: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["monitoring"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      states: {
        type: "array",
        items: { type: "string", enum: ["firing", "pending", "inactive", "broken"] },
        default: [],
        description: "Only these; all without any",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["alerts", "rules", "firing", "pending", "told"],
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
            state: { type: "string", enum: ["firing", "pending", "inactive", "broken"] },
            instance: { ...TEXT, description: "The member that it is about" },
            labels: { type: "object" },
            value: { type: ["number", "null"], description: "What the rule's expression gives" },
            since: TEXT,
            silenced_by: { ...TEXTS, description: "Silences, with their end" },
            inhibited_by: { ...TEXTS, description: "Worse alerts that stand for it" },
            receivers: TEXTS,
            text: { ...TEXT, description: "What it says; of a broken rule, the error" },
            for_seconds: {
              type: "number",
              description: "How long it must last before the rule fires",
            },
            group: { type: "string" },
            file: { type: "string" },
          },
        },
      },
      rules: { type: "integer" },
      firing: { type: "integer" },
      pending: { type: "integer" },
      told: { type: "boolean", description: "Alertmanager answers" },
    },
  },
  async run(ctx, { states = [] }) {
    const monitoring = await ctx.use("monitoring");
    const cluster = ctx.target.cluster!;
    const told = (await monitoring.ask("prometheus", "/api/v1/rules", {
      query: { type: "alert" },
    })) as unknown as { groups: Group[] };
    let heard: Heard[] = [];
    let silences: Awaited<ReturnType<typeof silencesOf>> = [];
    let isHeard = true;
    try {
      heard = (await monitoring.ask("alertmanager", "/api/v2/alerts")) as unknown as Heard[];
      silences = await silencesOf(monitoring, cluster);
    } catch (error) {
      ctx.signal.throwIfAborted();
      isHeard = false;
      ctx.warn(`Nothing is known of silences and receivers: ${toPgdbaError(error).message}`);
    }
    const all = rowsOf(cluster, told.groups, heard, silences);
    const count = (state: string): number => all.filter((one) => one.state === state).length;
    return {
      alerts: states.length === 0 ? all : all.filter(({ state }) => states.includes(state)),
      rules: told.groups.reduce((sum, { rules }) => sum + rules.length, 0),
      firing: count("firing"),
      pending: count("pending"),
      told: isHeard,
    };
  },
});
