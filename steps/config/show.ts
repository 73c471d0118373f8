import { defineStep } from "../define.ts";
import { patroniOf } from "../patroni-access.ts";
import { session } from "../sql/session.ts";
import { parametersOf } from "./place/parameters.ts";
import { hideSecrets } from "./check/secrets.ts";
import {
  missingRights,
  nearestName,
  neededFor,
  readSettings,
  waitingForRestart,
} from "../../providers/postgres/settings.ts";
import { humanValue } from "../../providers/postgres/setting-value.ts";

const TEXT = { type: ["string", "null"] } as const;

export default defineStep({
  type: "config.show",
  summary: "Show settings: value, default, source, and the reload or restart that they wait for",
  docs: `Values are those that a new session gets, with the unit as SHOW writes it. Where a value comes from (file and line) and some
settings are shown only to members of pg_read_all_settings; what is missing is in \`missing\`, with the GRANT that gives it.`,
  example: `- config.show: {pattern: "*work_mem"}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  uses: ["patroni", "member"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      pattern: {
        type: ["string", "null"],
        description:
          "Names; `*` stands for any letters, and a bare word finds names that contain it",
      },
      changed: {
        type: "boolean",
        default: false,
        description:
          "Only settings with another value than PostgreSQL's default, without those that the server computes",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["settings", "pending_restart", "missing"],
    properties: {
      settings: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: [
            "name",
            "value",
            "default",
            "unit",
            "source",
            "file",
            "line",
            "pending_restart",
            "context",
            "takes_effect",
            "managed_by_patroni",
            "category",
            "description",
          ],
          properties: {
            name: { type: "string" },
            value: TEXT,
            default: { ...TEXT, description: "PostgreSQL's own" },
            unit: { ...TEXT, description: "Of a bare number" },
            source: { type: "string" },
            file: TEXT,
            line: { type: ["integer", "null"] },
            pending_restart: { type: "boolean" },
            context: { type: "string" },
            takes_effect: { type: "string", enum: ["reload", "new_session", "restart", "never"] },
            managed_by_patroni: {
              type: "boolean",
              description: "Set in Patroni's dynamic configuration",
            },
            category: { type: "string" },
            description: { type: "string" },
          },
        },
      },
      pending_restart: { type: "array", items: { type: "string" }, description: "Of all settings" },
      missing: { type: "array", items: { type: "string" } },
    },
  },
  async run(ctx, input) {
    const pg = await session(ctx);
    const patroni = await patroniOf(ctx);
    const settings = hideSecrets(ctx, await readSettings(pg, ctx.signal));
    const waiting = await waitingForRestart(pg, settings, ctx.signal);
    const managed = patroni
      ? parametersOf(await patroni.config(ctx.signal))
      : new Map<string, unknown>();
    const wanted = matcher(input.pattern ?? null);
    const shown = [...settings.values()]
      .filter((setting) => wanted(setting.name))
      .map((setting) => {
        // A terminal shows the first ones.
        const { name, unit, source, context, category, short_desc } = setting;
        return {
          name,
          value: human(setting, setting.reset_val ?? setting.setting),
          default: human(setting, setting.boot_val),
          source,
          takes_effect: neededFor(context),
          pending_restart: waiting.names.has(name.toLowerCase()),
          unit,
          file: setting.sourcefile,
          line: setting.sourceline,
          context,
          managed_by_patroni: managed.has(name.toLowerCase()),
          category,
          description: short_desc,
        };
      });
    if (shown.length === 0 && input.pattern) {
      const near = nearestName(
        input.pattern,
        [...settings.values()].map(({ name }) => name),
      );
      const hint =
        near === undefined ? "a word finds names that contain it" : `did you mean ${near}?`;
      ctx.warn(`No setting matches ${input.pattern.slice(0, 200)}; ${hint}`);
    }
    return {
      settings: input.changed === true ? shown.filter(isChanged) : shown,
      pending_restart: [...settings]
        .filter(([key]) => waiting.names.has(key))
        .map(([, one]) => one.name),
      missing: [...(await missingRights(pg, ctx.signal)), ...waiting.missing],
    };
  },
});

/** Sources of values that nobody set: the server computes them, or finds them in this session and its own environment. */
const NOT_SET = ["default", "override", "client", "session", "environment variable"];

function isChanged(one: {
  value: string | null;
  default: string | null;
  source: string;
  context: string;
  pending_restart: boolean;
}): boolean {
  if (one.pending_restart) return true;
  return one.value !== one.default && one.context !== "internal" && !NOT_SET.includes(one.source);
}

function human(setting: Parameters<typeof humanValue>[0], text: string | null): string | null {
  return text === null ? null : humanValue(setting, text);
}

/** `*work_mem` as a pattern over the whole name; a word without `*` anywhere in it. */
function matcher(pattern: string | null): (name: string) => boolean {
  if (pattern === null) return () => true;
  const text = pattern.toLowerCase();
  if (!text.includes("*")) return (name) => name.toLowerCase().includes(text);
  const whole = new RegExp(
    `^${text
      .split("*")
      .map((part) => part.replace(/[^a-z0-9_]/g, "\\$&"))
      .join(".*")}$`,
  );
  return (name) => whole.test(name.toLowerCase());
}
