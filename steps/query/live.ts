import { PgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import { MARK } from "../../providers/postgres/own.ts";
import { defineStep } from "../define.ts";
import { normaliseQuery } from "../mask.ts";
import { session } from "../sql/session.ts";
import { grantHint, HIDDEN_TEXT } from "./statements/recorded.ts";
import { RANKED_BY } from "./statements/row.ts";

/** 14 brought `query_id`, when compute_query_id is on. */
const QUERY_ID = 140_000;

interface Seen {
  queryid: string | null;
  query: string;
  database: string | null;
  /** Sightings: sessions, over all looks. */
  samples: number;
  sessions: number;
  longest_ms: number;
  /** The number of samples in which it waited, by wait event. */
  waits: Record<string, number>;
}

export default defineStep({
  type: "query.live",
  summary: "List the statements running now, by looking at pg_stat_activity a few times",
  docs: `Looks \`looks\` times, \`every\` so often, and counts what each statement was seen doing: \`CPU\` or what it waited for. A statement
that is seen twice as often takes twice the time of the server, in whatever pieces. Needs no extension.`,
  example: `- query.live:
    looks: 20
    every: 250ms
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      looks: { type: "integer", minimum: 1, maximum: 1000, default: 20 },
      every: { type: "string", format: "duration", default: "250ms" },
      threshold: {
        type: "string",
        format: "duration",
        default: "0ms",
        description: "Least running time to have been seen",
      },
      limit: RANKED_BY.limit,
      since: {
        type: ["string", "null"],
        description: "Refused: the running statements have no past to compare with",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["statements", "looks", "active_mean", "hidden"],
    properties: {
      statements: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: [
            "queryid",
            "query",
            "database",
            "samples",
            "sessions",
            "longest_ms",
            "share_percent",
            "waits",
          ],
          properties: {
            queryid: { type: ["string", "null"] },
            query: { type: "string", description: "With $1, $2, … for its literals" },
            database: { type: ["string", "null"] },
            samples: { type: "integer", description: "Times it was seen, in any session" },
            sessions: {
              type: "integer",
              description: "Sessions running it at the same time, at most",
            },
            longest_ms: { type: "number" },
            share_percent: { type: "number", description: "Share of all sightings" },
            waits: { type: "object", additionalProperties: { type: "integer" } },
          },
        },
      },
      looks: { type: "integer" },
      active_mean: { type: "number", description: "Sessions at work on average" },
      hidden: { type: "integer", description: "Sightings whose text this role may not see" },
    },
  },
  async run(ctx, input) {
    if ((input.since ?? null) !== null)
      throw new PgdbaError(
        "invalid_param",
        "The statements running now can't be compared with the past",
        {
          hint: "Leave --since out, or --live.",
        },
      );
    const pg = await session(ctx);
    const { looks = 20, every = "250ms", threshold = "0ms", limit = 20 } = input;
    const id = pg.info.version_num >= QUERY_ID ? "query_id::text" : "NULL::text";
    const seen = new Map<string, Seen>();
    let sightings = 0;
    let hidden = 0;
    for (let look = 0; look < looks; look++) {
      if (look > 0) await ctx.clock.sleep(parseDuration(every), ctx.signal);
      const { rows } = await pg.ask(
        `SELECT ${id} AS queryid, coalesce(query, '') AS query, datname AS database, coalesce(wait_event_type || '/' || wait_event, 'CPU') AS wait,
           (extract(epoch FROM clock_timestamp() - query_start) * 1000)::float8 AS ms
         FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND coalesce(application_name, '') !~ '^pgdba(/|$)' AND position($2 IN coalesce(query, '')) = 0
           AND ((backend_type = 'client backend' AND state = 'active') OR (query = $1 AND datid IS NOT NULL AND usesysid IS NOT NULL))`,
        [HIDDEN_TEXT, MARK],
        { signal: ctx.signal },
      );
      const here = new Map<string, number>();
      for (const { queryid, query: typed, database, wait, ms } of rows as unknown as Sighting[]) {
        // A session that hides its text hides its kind too; the server's own processes have no user or no database.
        if (typed === HIDDEN_TEXT) {
          hidden++;
          continue;
        }
        sightings++;
        const query = normaliseQuery(typed);
        const key = JSON.stringify([queryid ?? query, database]);
        const known = seen.get(key) ?? {
          queryid,
          query,
          database,
          samples: 0,
          sessions: 0,
          longest_ms: 0,
          waits: {},
        };
        here.set(key, (here.get(key) ?? 0) + 1);
        known.samples++;
        known.sessions = Math.max(known.sessions, here.get(key) ?? 0);
        known.longest_ms = Math.max(known.longest_ms, ms ?? 0);
        known.waits[wait] = (known.waits[wait] ?? 0) + 1;
        seen.set(key, known);
      }
    }
    if (hidden > 0)
      ctx.warn(
        `Sessions of others were seen whose statements are hidden from ${pg.info.user}. ${grantHint(pg)}`,
      );
    const least = parseDuration(threshold);
    const statements = [...seen.values()]
      .filter(({ longest_ms }) => longest_ms >= least)
      .toSorted((a, b) => b.samples - a.samples || b.longest_ms - a.longest_ms)
      .slice(0, limit)
      .map((one) => ({
        ...one,
        share_percent: Math.round((10_000 * one.samples) / sightings) / 100,
      }));
    return { statements, looks, active_mean: Math.round((100 * sightings) / looks) / 100, hidden };
  },
});

interface Sighting {
  queryid: string | null;
  query: string;
  database: string | null;
  wait: string;
  ms: number | null;
}
