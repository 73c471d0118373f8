import { PgdbaError } from "../../engine/errors.ts";
import type { JsonObject, StepContext } from "../../engine/types.ts";
import { dropIndex } from "../../providers/postgres/drop-index.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { bareOrQuoted } from "../../providers/planner/twin/names.ts";
import { indexesOf } from "../../providers/planner/twin/plan.ts";
import { defineStep } from "../define.ts";
import { commandLine, wordsOf } from "../command-line.ts";
import { beforeActing } from "../before-acting.ts";
import { lockTimeoutInput } from "../sql/lock-timeout.ts";
import { milliseconds, session } from "../sql/session.ts";
import { build, cancelBuild, follow, sweep } from "./ddl/build.ts";
import { type Definition, readDefinition } from "./ddl/definition.ts";
import { findIndex, tableOf } from "./ddl/existing.ts";
import { planOfQuery } from "./advise/server-plan.ts";
import { assertSame, isSame } from "./ddl/same.ts";

const LOCK_TIMEOUT = "30s";

export default defineStep({
  type: "index.create",
  summary: "Build an index while others write, and tell whether the planner uses it",
  docs: `\`definition\` is one CREATE INDEX with a name; CONCURRENTLY is added when it lacks. The build waits for transactions that are older,
each at most \`lock_timeout\`. Whatever fails, the invalid index that PostgreSQL leaves behind is dropped, and so is one that an earlier
attempt left. A valid index of the same name is left as it is.

With \`query\`, the server's plan of that statement afterwards says whether the index is used; it is not executed.`,
  example: `- index.create:
    definition: CREATE INDEX orders_customer_idx ON public.orders (customer)
    query: SELECT * FROM public.orders WHERE customer = $1
`,
  effect: "change",
  idempotent: true,
  // The server ends a statement that is cancelled, and the build goes on in it when this process is gone.
  interruptible: true,
  job: true,
  needs: ["postgres", "primary"],
  // A failover must not wait for hours until an index is built.
  locks: "config",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["definition"],
    properties: {
      definition: { type: "string", minLength: 1, description: "One CREATE INDEX statement" },
      query: { type: ["string", "null"], description: "A statement that the index is for" },
      lock_timeout: lockTimeoutInput(LOCK_TIMEOUT),
      timeout: {
        type: ["string", "null"],
        format: "duration",
        description: "How long the build may take; by default the server's own statement_timeout",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "index",
      "table",
      "created",
      "definition",
      "bytes",
      "used",
      "cost_before",
      "cost_after",
    ],
    properties: {
      index: { type: "string" },
      table: { type: "string" },
      created: { type: "boolean", description: "False when it was there already" },
      definition: { type: "string" },
      bytes: { type: "number" },
      used: {
        type: ["boolean", "null"],
        description: "Whether the plan of `query` uses it; null without one",
      },
      cost_before: { type: ["number", "null"] },
      cost_after: { type: ["number", "null"] },
    },
  },
  async run(ctx, input) {
    const query = input.query ?? null;
    const { definition, pg, schema, before } = await beforeActing(ctx, async () => {
      const definition = await readDefinition(input.definition);
      const pg = await session(ctx);
      const schema = await buildable(pg, definition);
      const before = query === null ? null : await planOfQuery(ctx, query);
      return { definition, pg, schema, before };
    });
    const options = {
      lockTimeoutMs: milliseconds(input.lock_timeout ?? LOCK_TIMEOUT),
      timeoutMs: milliseconds(input.timeout ?? undefined),
    };
    if (ctx.attached) await follow(ctx, schema, definition.name);
    await sweep(ctx, schema, definition.name, options);
    const there = await findIndex(pg, schema, definition.name);
    const ours = ctx.attached !== undefined && there?.valid === true;
    const created = there === null || ours;
    if (there === null)
      await build(ctx, definition, schema, options).catch((error: unknown) => {
        throw withDuplicates(error, ctx, definition, schema);
      });
    else if (there.builder !== null) {
      throw new PgdbaError(
        "step_refused",
        `Process ${there.builder} builds ${schema}.${definition.name} now`,
        { hint: "Wait for it to end, then run again.", retryable: true },
      );
    } else {
      await assertSame(pg, definition, schema, there);
      if (!ours) {
        ctx.unchanged();
        ctx.warn(`There is an index ${schema}.${definition.name} already: ${there.definition}`);
      }
    }
    const built = await findIndex(pg, schema, definition.name);
    if (built === null)
      throw new PgdbaError("step_failed", `The index ${schema}.${definition.name} is gone again`, {
        hint: "Somebody else may have dropped it; run again.",
      });
    if (!built.valid)
      ctx.warn(
        `${schema}.${definition.name} is not valid, and no plan uses it, until an index of each partition is attached to it`,
      );
    const after = query === null ? null : await planOfQuery(ctx, query);
    return {
      index: `${schema}.${definition.name}`,
      table: built.table,
      created,
      definition: built.definition,
      bytes: built.bytes,
      used: after === null ? null : indexesOf(after).has(definition.name),
      cost_before: before?.["Total Cost"] ?? null,
      cost_after: after?.["Total Cost"] ?? null,
    };
  },
  async plan(ctx, input) {
    const definition = await readDefinition(input.definition);
    const pg = await session(ctx);
    const schema = await buildable(pg, definition);
    const there = await findIndex(pg, schema, definition.name);
    if (there?.valid === true) await assertSame(pg, definition, schema, there);
    return { sql: there?.valid === true ? null : definition.sql };
  },
  async probe(ctx, input) {
    const definition = await readDefinition(input.definition);
    const pg = await session(ctx);
    const { schema: place } = await tableOf(pg, definition.schema, definition.table);
    const found = await findIndex(pg, place, definition.name);
    // `run` removes an invalid index of this name, unless somebody still builds it; so does `undo`.
    if (found === null) return { state: "not_done" };
    if (!found.valid && found.builder === null) return { state: "not_done", partly: true };
    if (!found.valid) return { state: "running", note: { pid: found.builder } };
    // Another one of that name: doing it again says so.
    if (!(await isSame(pg, definition, place, found))) return { state: "not_done" };
    const { schema, name, table, bytes } = found;
    return {
      state: "done",
      output: {
        index: `${schema}.${name}`,
        table,
        created: true,
        definition: found.definition,
        bytes,
        used: null,
        cost_before: null,
        cost_after: null,
      },
    };
  },
  async stop(ctx, input) {
    const definition = await readDefinition(input.definition);
    const pg = await session(ctx);
    const { schema } = await tableOf(pg, definition.schema, definition.table);
    await cancelBuild(ctx, schema, definition.name);
  },
  async undo(ctx, input, output) {
    const definition = await readDefinition(input.definition);
    const pg = await session(ctx);
    const { schema } = await tableOf(pg, definition.schema, definition.table);
    const lockTimeoutMs = milliseconds(input.lock_timeout ?? LOCK_TIMEOUT);
    if (output?.created === true) await dropIndex(pg, schema, definition.name, { lockTimeoutMs });
    else if (
      output !== undefined ||
      !(await sweep(ctx, schema, definition.name, { lockTimeoutMs }))
    )
      ctx.unchanged();
  },
});

/** The error of a unique build that found rows double says how to see them all. */
function withDuplicates(
  error: unknown,
  { target }: StepContext,
  { table, columns }: Definition,
  schema: string,
): unknown {
  if (!(error instanceof PgdbaError)) return error;
  const { code, message, data } = error;
  if ((data as JsonObject | undefined)?.["sqlstate"] !== "23505") return error;
  const name = `${bareOrQuoted(schema)}.${bareOrQuoted(table)}`;
  const command = ["constraint", "duplicates", name, ...wordsOf({ columns })];
  const hint =
    columns === null
      ? `Group the rows of ${name} by what the index is of, HAVING count(*) > 1, to see which are double; correct them, then run again.`
      : `\`${commandLine(target, command)}\` shows which rows are double; correct them, then run again.`;
  return new PgdbaError(code, message, { hint, data, cause: error });
}

/** The schema of the table. @throws PgdbaError step_refused for one that can't be indexed while others write */
async function buildable(pg: PgSession, definition: Definition): Promise<string> {
  const { schema, partitioned } = await tableOf(pg, definition.schema, definition.table);
  if (!partitioned || definition.only) return schema;
  const name = `${bareOrQuoted(schema)}.${bareOrQuoted(definition.table)}`;
  throw new PgdbaError(
    "step_refused",
    `${name} is partitioned, and PostgreSQL builds no index of such a table while others write`,
    {
      hint: `Create the index ON ONLY ${name}, build one for each partition, and join them with ALTER INDEX … ATTACH PARTITION; \`pgdba query index-suggest\` writes these statements out.`,
    },
  );
}
