import { PgdbaError } from "../../engine/errors.ts";
import { isMapping, type Json, type StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { onSecondServer, type SecondServer } from "../second-server.ts";
import { session } from "../sql/session.ts";
import { type Comparison, compareServers, compareWith } from "./check/compare.ts";
import { readWanted, wantedFrom } from "../settings-file.ts";
import { hideSecrets } from "./check/secrets.ts";
import { missingRights, readSettings, type Setting } from "../../providers/postgres/settings.ts";

const NAMES = { type: "array", items: { type: "string" } } as const;

export default defineStep({
  type: "config.diff",
  summary: "Compare settings with wanted ones, a file, another cluster or another member",
  docs: `Values are compared by what they mean: 1GB is 1024MB, on is true. The most important difference comes first.

Settings that name a server (data directory, port, cluster name, …) are left out.`,
  example: `- config.diff:
    settings: {work_mem: 64MB, shared_buffers: 16GB}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  uses: ["patroni", "member"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      settings: {
        type: ["object", "null"],
        description: "Values by name, also as config.tune gives them",
      },
      file: {
        type: ["string", "null"],
        description: "A file of settings: YAML, JSON, or lines of postgresql.conf",
      },
      cluster: { type: ["string", "null"], description: "Another cluster of the registry" },
      member: {
        type: ["string", "null"],
        description: "Another member of the same Patroni cluster",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["against", "differences", "same", "only_here", "only_there"],
    properties: {
      against: { type: "string" },
      differences: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: [
            "name",
            "current",
            "other",
            "importance",
            "takes_effect",
            "description",
            "reason",
          ],
          properties: {
            name: { type: "string" },
            current: { type: ["string", "null"] },
            other: { type: ["string", "null"] },
            importance: { type: "string", enum: ["high", "medium", "low"] },
            takes_effect: { type: "string", enum: ["reload", "new_session", "restart", "never"] },
            description: { type: "string" },
            reason: {
              type: ["string", "null"],
              description: "Why the other value is recommended",
            },
          },
        },
      },
      same: { type: "integer", description: "Settings that are equal" },
      only_here: { ...NAMES, description: "Settings that the other side does not have" },
      only_there: { ...NAMES, description: "Settings that this server does not have" },
    },
  },
  async run(ctx, input) {
    const given = Object.entries(input).filter(
      ([, value]) => value !== null && value !== undefined,
    );
    if (given.length !== 1) {
      throw new PgdbaError(
        "invalid_param",
        given.length === 0
          ? "Nothing to compare with is given"
          : `More than one thing to compare with: ${given.map(([key]) => key).join(", ")}`,
        {
          hint: "Give one of settings (as --workload oltp does), --file, cluster (--other) or --member.",
        },
      );
    }
    const pg = await session(ctx);
    const here = hideSecrets(ctx, await readSettings(pg, ctx.signal));
    for (const right of await missingRights(pg, ctx.signal))
      ctx.warn(`Not all settings could be compared. ${right}`);
    const { settings, file, cluster, member } = input;
    if (file) return report(file, compareWith(here, await readWanted(ctx.cwd, file)));
    if (cluster)
      return report(`cluster ${cluster}`, compareServers(here, await settingsOf(ctx, { cluster })));
    if (member)
      return report(`member ${member}`, compareServers(here, await settingsOf(ctx, { member })));
    const wanted = compareWith(here, wantedFrom(settings as Json));
    return report("the wanted settings", wanted, settings ?? {});
  },
});

function report(
  against: string,
  { differences, ...rest }: Comparison,
  reasons: Record<string, Json> = {},
): Json {
  const reasonFor = (name: string): Json => {
    const given = reasons[name];
    return isMapping(given) ? (given["reason"] ?? null) : null;
  };
  return {
    against,
    differences: differences.map((one) => ({ ...one, reason: reasonFor(one.name) })),
    ...rest,
  };
}

function settingsOf(ctx: StepContext, there: SecondServer): Promise<Map<string, Setting>> {
  return onSecondServer(ctx, there, async (pg) =>
    hideSecrets(ctx, await readSettings(pg, ctx.signal)),
  );
}
