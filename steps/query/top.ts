import { amount } from "../../engine/shared/amount.ts";
import type { JsonObject } from "../../engine/types.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import { defineStep } from "../define.ts";
import { placeIdentifiers } from "../sql/input.ts";
import { session } from "../sql/session.ts";
import { shareOf } from "./statements/changed.ts";
import { grantHint, statementsExtension } from "./statements/recorded.ts";
import { RANKED_BY, ROW, ROW_KEYS } from "./statements/row.ts";
import { SPARE, withTexts } from "./statements/texts.ts";
import { infoSql, topSql } from "./statements/top-sql.ts";

const nullable = (type: string) => ({ type: [type, "null"] }) as const;

export default defineStep({
  type: "query.top",
  summary: "The statements that cost most, from pg_stat_statements",
  docs: `One row per statement and database, whoever ran it. Times are those of execution. \`threshold\` leaves out statements that are
fast on average. \`io\` orders by the time spent reading and writing where the server measures it (\`track_io_timing\`), and else by the
bytes that were not in memory. The figures count from \`stats_reset\` on; \`dealloc\` above 0 says that rare statements were dropped
since, so that shares are too high: raise \`pg_stat_statements.max\`.`,
  example: `- query.top:
    order: total
    threshold: 100ms
    limit: 10
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      ...RANKED_BY,
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["statements", "hidden", "total_ms", "stats_reset", "dealloc"],
    properties: {
      statements: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ROW_KEYS,
          properties: { ...ROW, max_ms: { type: "number" } },
        },
      },
      hidden: {
        type: "integer",
        description: "Statements that this role may not see; not in the list",
      },
      total_ms: {
        type: "number",
        description: "Execution time of all statements but pgdba's own, listed or not",
      },
      stats_reset: { ...nullable("string"), description: "Since when it counts; null before 14" },
      dealloc: {
        ...nullable("integer"),
        description: "How often statements were dropped for want of room; null before 14",
      },
    },
  },
  async run(ctx, input) {
    const pg = await session(ctx);
    const { schema, version } = await statementsExtension(pg);
    const { order = "total", threshold = "0ms", limit = 20 } = input;
    const values = [parseDuration(threshold), limit + SPARE];
    const top = await pg.ask(placeIdentifiers(topSql(version, order), { schema }), values, {
      signal: ctx.signal,
    });
    const about = await pg.ask(placeIdentifiers(infoSql(version), { schema }), [], {
      signal: ctx.signal,
    });
    const { stats_reset = null, dealloc = null, all_ms = 0, hidden = 0 } = about.rows[0] ?? {};
    if (Number(hidden) > 0)
      ctx.warn(
        `${amount(Number(hidden), "statement of others is", "statements of others are")} left out. ${grantHint(pg)}`,
      );
    const ranked = top.rows as unknown as (JsonObject & { id: string; total_ms: number })[];
    const { listed, own_ms } = await withTexts(ctx, { pg, schema, statements: ranked, limit });
    const total_ms = Math.round(1000 * Math.max(0, Number(all_ms) - own_ms)) / 1000;
    const statements = listed.map((one) => {
      const { id, ...statement } = { ...one, share_percent: shareOf(one, total_ms) };
      return { ...statement, queryid: id.split("/")[1] ?? "" };
    });
    return { statements, hidden, total_ms, stats_reset, dealloc };
  },
});
