import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { dropIndex } from "../../providers/postgres/drop-index.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import type { TableName } from "../../providers/planner/twin/twin.ts";
import { defineStep } from "../define.ts";
import { beforeActing } from "../before-acting.ts";
import { lockTimeoutInput } from "../sql/lock-timeout.ts";
import { milliseconds, session } from "../sql/session.ts";
import { build } from "./ddl/build.ts";
import { readDefinition } from "./ddl/definition.ts";
import { type Existing, findIndex, otherKind } from "./ddl/existing.ts";
import { relationName } from "../../providers/postgres/relation-name.ts";
import { planOfQuery } from "./advise/server-plan.ts";
import { effectOf, foreignKeysServed } from "./advise/without.ts";

const LOCK_TIMEOUT = "30s";
/** Since when scans are counted, and who counts their own. */
const SINCE = `SELECT coalesce(stats_reset, pg_postmaster_start_time())::text AS since,
  (SELECT count(*) FROM pg_catalog.pg_stat_replication) AS standbys FROM pg_catalog.pg_stat_database WHERE datname = current_database()`;

export default defineStep({
  type: "index.drop",
  summary: "Drop an index while others write; the undo builds it again",
  docs: `Refuses an index that a constraint, uniqueness or a replica identity depends on, and parts of a partitioned index. A unique index that is not
valid, as a failed build leaves it, is dropped. The definition is in
the output and in the log, and undoing the step builds the index again from it.

With \`query\`, the server's cost of that statement before and after is given; it is not executed. \`--plan\` drops nothing and shows what
there is to know before: scans and since when they are counted, foreign keys that no other index serves, and by the planner's twin what the
statement, or those of pg_stat_statements on the table, would cost without the index. Indexes are used on standbys too: the
scans counted are this member's.`,
  example: `- index.drop:
    index: public.orders_customer_idx
`,
  effect: "change",
  idempotent: true,
  needs: ["postgres", "primary"],
  locks: "config",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["index"],
    properties: {
      index: { type: "string", minLength: 1, description: "Its name, as index or schema.index" },
      query: { type: ["string", "null"], description: "A statement whose cost is to be compared" },
      lock_timeout: lockTimeoutInput(LOCK_TIMEOUT),
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["index", "dropped", "definition", "bytes", "scans", "cost_before", "cost_after"],
    properties: {
      index: { type: "string" },
      dropped: { type: "boolean", description: "False when there was none" },
      definition: { type: ["string", "null"], description: "The statement that builds it again" },
      bytes: { type: ["number", "null"], description: "Its size" },
      scans: { type: ["number", "null"], description: "The number of its scans on this member" },
      cost_before: { type: ["number", "null"] },
      cost_after: { type: ["number", "null"] },
    },
  },
  async run(ctx, input) {
    const wanted = relationName(input.index, "index");
    const query = input.query ?? null;
    const cost = async (): Promise<number | null> =>
      query === null ? null : (await planOfQuery(ctx, query))["Total Cost"];
    const { pg, found, before } = await beforeActing(ctx, async () => {
      const pg = await session(ctx);
      const found = await findIndex(pg, wanted.schema, wanted.name);
      if (found === null) await refuseOther(pg, wanted, input.index);
      else refuse(found);
      return { pg, found, before: await cost() };
    });
    if (found === null) {
      ctx.unchanged();
      ctx.warn(`There is no index ${input.index}`);
      return {
        index: input.index,
        dropped: false,
        definition: null,
        bytes: null,
        scans: null,
        cost_before: before,
        cost_after: null,
      };
    }
    ctx.log(`dropping ${found.definition}`);
    const { definition, bytes, scans } = found;
    ctx.note({ kept_nothing: found.unique && !found.valid, definition, bytes, scans });
    await dropIndex(pg, found.schema, found.name, {
      lockTimeoutMs: milliseconds(input.lock_timeout ?? LOCK_TIMEOUT),
      signal: ctx.signal,
    });
    return {
      index: `${found.schema}.${found.name}`,
      dropped: true,
      definition,
      bytes,
      scans,
      cost_before: before,
      cost_after: await cost(),
    };
  },
  varies: ["bytes", "scans", "cost_before", "cost_after", "dearer"],
  async plan(ctx, input) {
    const wanted = relationName(input.index, "index");
    const pg = await session(ctx);
    const found = await findIndex(pg, wanted.schema, wanted.name);
    if (found === null) {
      await refuseOther(pg, wanted, input.index);
      ctx.warn(`There is no index ${input.index}; nothing would be dropped`);
      return { index: input.index, found: false, definition: null, bytes: null };
    }
    refuse(found);
    const { schema, name, table, definition, bytes, scans } = found;
    const { rows } = await pg.ask(SINCE);
    const constraints = await foreignKeysServed(pg, found);
    for (const key of constraints)
      ctx.warn(
        `No other index serves the foreign key ${key.name}: each delete in ${key.referenced} would read all of ${table}`,
      );
    // A statement that the server can't plan is refused here as well.
    if (input.query != null) await planOfQuery(ctx, input.query);
    const { cost_before, cost_after, dearer } = await effectOf(ctx, found, input.query ?? null);
    return {
      index: `${schema}.${name}`,
      found: true,
      table,
      definition,
      bytes,
      scans,
      scans_since: (rows[0]?.["since"] as string | undefined) ?? null,
      standbys: Number(rows[0]?.["standbys"] ?? 0),
      constraints,
      cost_before,
      cost_after,
      dearer: dearer === null ? null : dearer.map((one) => ({ ...one })),
    };
  },
  async probe(ctx, input) {
    const wanted = relationName(input.index, "index");
    const found = await findIndex(await session(ctx), wanted.schema, wanted.name);
    // A drop that was cut off leaves the index invalid; it is dropped again.
    if (found !== null) return { state: "not_done", partly: !found.valid };
    const note = notedBy(ctx);
    return {
      state: "done",
      output: {
        index: input.index,
        dropped: true,
        definition: note?.definition ?? null,
        bytes: note?.bytes ?? null,
        scans: note?.scans ?? null,
        cost_before: null,
        cost_after: null,
      },
    };
  },
  async undo(ctx, input, output) {
    if (output !== undefined && !output.dropped) return ctx.unchanged();
    // It was of no use, and rows that are double would let no other be built.
    const note = notedBy(ctx);
    if (note?.kept_nothing === true) return ctx.unchanged();
    const wanted = relationName(input.index, "index");
    const found = await findIndex(await session(ctx), wanted.schema, wanted.name);
    if (found?.valid === true) return ctx.unchanged();
    const text = output?.definition ?? note?.definition ?? found?.definition;
    if (text === undefined || text === null) {
      throw new PgdbaError(
        "undo_failed",
        `The index ${input.index} is gone and its definition is not known`,
        { hint: 'The run\'s log has it, in the line that begins with "dropping".' },
      );
    }
    const lockTimeoutMs = milliseconds(LOCK_TIMEOUT);
    const definition = await readDefinition(text);
    const schema = definition.schema ?? "public";
    if (found !== null)
      await dropIndex(await session(ctx), schema, definition.name, { lockTimeoutMs });
    await build(ctx, definition, schema, { lockTimeoutMs });
  },
});

/** What is on disk of the index before it is dropped: who finds it gone after a crash knows it by this alone. */
interface Note {
  /** It was of no use, so that nothing builds it again. */
  kept_nothing: boolean;
  definition: string;
  bytes: number | null;
  scans: number | null;
}

function notedBy({ noted }: StepContext): Note | undefined {
  return noted as unknown as Note | undefined;
}

/** @throws PgdbaError step_refused when the name is that of something else */
async function refuseOther(pg: PgSession, wanted: TableName, given: string): Promise<void> {
  const kind = await otherKind(pg, wanted.schema, wanted.name);
  if (kind === null) return;
  throw new PgdbaError("step_refused", `${given} is a ${kind}, not an index`, {
    hint: "Give the name of an index; psql's \\d lists those of a table.",
  });
}

/** @throws PgdbaError step_refused for an index that is more than a faster way */
function refuse(index: Existing): void {
  const name = `${index.schema}.${index.name}`;
  const reasons: [boolean, string, string][] = [
    [
      index.constraint !== null,
      `belongs to the constraint ${index.constraint}`,
      "Drop the constraint instead, if that is what you want.",
    ],
    [
      index.replica_identity,
      "is the replica identity of its table",
      "Give the table another one first: ALTER TABLE ... REPLICA IDENTITY.",
    ],
    [
      // One that is not valid keeps nothing unique: a build has failed, mostly at rows that are double.
      index.unique && index.valid,
      "keeps its keys unique",
      "An index that only speeds up reads can be dropped here. Where nothing relies on this rule, a person drops it with SQL: DROP INDEX CONCURRENTLY.",
    ],
    [
      index.parent !== null,
      `is a part of ${index.parent}`,
      "Drop the index of the partitioned table.",
    ],
    [
      index.partitioned,
      "is on a partitioned table, where it can't be dropped concurrently",
      "Drop it by hand in a quiet moment: it locks all partitions.",
    ],
  ];
  for (const [holds, reason, hint] of reasons)
    if (holds) throw new PgdbaError("step_refused", `The index ${name} ${reason}`, { hint });
}
