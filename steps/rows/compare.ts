import type { Json, StepContext } from "../../engine/types.ts";
import { commandLine, wordsOf } from "../command-line.ts";
import { defineStep } from "../define.ts";
import { FOUND, Found } from "./sides/found.ts";
import { onBoth, type Sides, SIDES, type SidesInput } from "./sides/open.ts";
import { nameOf } from "./sides/table.ts";

/** Rows between two tellings of how far it is. */
const STEP = 20_000;
const NAMES = { type: "array", items: { type: "string" } } as const;

export default defineStep({
  type: "rows.compare",
  summary: "Compare the rows of tables with those of a second server",
  docs: `Both sides are read once, in the order of a key that both have (the primary key, or a unique one that is never null), each in one REPEATABLE READ transaction, and merged
as they come: memory does not grow with the table. Values are compared as the texts that the servers write with the same settings, wide ones by their SHA-256.

A key of integers is sorted as such, any other by its bytes in UTF-8, so that two collations can't disagree. The servers read whole tables and sort them, which may write temporary files as
large as the table, since an index may lack rows; with \`indexes\` they may use one, for a narrow \`where\`. Row security that would hide rows is refused. What is committed between the two
moments at which the sides are read differs.`,
  example: `- rows.compare:
    tables: [shop.orders]
    cluster: reporting
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  uses: ["member", "patroni"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["tables"],
    properties: {
      tables: { type: "array", minItems: 1, items: { type: "string", minLength: 1 } },
      ...SIDES,
      limit: {
        type: "integer",
        minimum: 0,
        maximum: 10_000,
        default: 10,
        description: "Keys shown of each kind.",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["equal", "against", "replayed", "tables"],
    properties: {
      equal: { type: "boolean", description: "No table differs" },
      against: { type: "string", description: "The second server" },
      replayed: {
        type: ["string", "null"],
        description:
          "Of a standby: when what it has replayed last was committed; null where it has replayed no commit since its start",
      },
      tables: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: [
            "table",
            "key",
            "equal",
            ...Object.keys(FOUND),
            "columns_only_here",
            "columns_only_there",
            "seconds",
            "rows_per_second",
            "next",
          ],
          properties: {
            table: { type: "string" },
            key: NAMES,
            equal: { type: "boolean" },
            ...FOUND,
            columns_only_here: { ...NAMES, description: "Not compared" },
            columns_only_there: { ...NAMES, description: "Not compared" },
            seconds: { type: "number" },
            rows_per_second: { type: "number" },
            next: {
              type: ["string", "null"],
              description: "The command that brings missing rows to the target",
            },
          },
        },
      },
    },
  },
  async run(ctx, input) {
    return onBoth(ctx, input, null, async (sides) => {
      const tables = [];
      for (const table of input.tables) tables.push(await compared(ctx, sides, table, input));
      const equal = tables.every((one) => one.equal);
      if (!equal)
        ctx.warn(
          `The target and ${sides.against} were not read at the same moment: rows that were written meanwhile differ for that reason. Compare those keys again, with --where.`,
        );
      return { equal, against: sides.against, replayed: sides.replayed, tables };
    });
  },
});

async function compared(
  ctx: StepContext,
  sides: Sides,
  table: string,
  input: SidesInput & { limit?: number | undefined },
) {
  const began = ctx.clock.monotonic();
  const pair = await sides.pair(table);
  const found = new Found(pair, input.limit ?? 10);
  const total = Math.max(pair.here.rows, pair.there.rows);
  let met = 0;
  const { here, there } = await sides.compare(pair, (one) => {
    found.add(one);
    met += 1;
    if (met % STEP === 0)
      ctx.progress({ done: met, total: Math.max(met, total), unit: "rows", text: table });
  });
  const seconds = (ctx.clock.monotonic() - began) / 1000;
  const { cluster, member, database, where } = input;
  const words = wordsOf({
    other: cluster ?? null,
    member: member ?? null,
    other_database: database ?? null,
    where: where ?? null,
  } as Record<string, Json>);
  return {
    table: nameOf(pair.here).replaceAll(/"([a-z_][a-z0-9_]*)"/g, "$1"),
    key: pair.key,
    equal: found.equal,
    ...found.told(),
    columns_only_here: pair.onlyHere,
    columns_only_there: pair.onlyThere,
    seconds: Math.round(seconds * 1000) / 1000,
    rows_per_second: Math.round((here.seen + there.seen) / Math.max(seconds, 0.001)),
    next:
      found.only_there > 0 && !sides.info.here.standby
        ? commandLine(ctx.target, ["rows", "copy", table, ...words])
        : null,
  };
}
