import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { quoteName } from "../../providers/planner/twin/names.ts";
import { dropIndex } from "../../providers/postgres/drop-index.ts";
import { defineStep } from "../define.ts";
import { beforeActing } from "../before-acting.ts";
import { LONG, markOf, runLong, waitForEnd } from "../sql/long/run.ts";
import { session } from "../sql/session.ts";
import { type IndexFacts, indexOf, leftoversOf } from "./relation/index.ts";
import { LIMITS, limitsOf, LOCK_TIMEOUT } from "./relation/shape.ts";

export default defineStep({
  type: "maintenance.reindex",
  summary: "Rebuild one index while others write, and see that it was done",
  docs: `REINDEX INDEX CONCURRENTLY in a session of its own, with a lock timeout; the server's progress is told. It waits for transactions that
are older, each at most \`lock_timeout\`. What a rebuild that fails leaves behind (\`_ccnew\`, \`_ccold\`) is dropped, and so is what earlier
ones have left; given the name of such an index, it is dropped and nothing is rebuilt.

Refused are what PostgreSQL can't rebuild while others write: indexes of system catalogues and of exclusion constraints.`,
  example: `- maintenance.reindex: {schema: public, index: orders_customer_idx}
`,
  effect: "change",
  idempotent: true,
  // The server ends a command that is cancelled, and goes on with it when this process is gone.
  interruptible: true,
  job: true,
  needs: ["postgres", "primary"],
  // A failover must not wait for hours until an index is built.
  locks: "config",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["schema", "index"],
    properties: {
      schema: { type: "string", minLength: 1, description: "Its schema" },
      index: { type: "string", minLength: 1, description: "Its name" },
      ...LIMITS,
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["index", "table", "rebuilt", "bytes_before", "bytes_after", "dropped"],
    properties: {
      index: { type: "string" },
      table: { type: "string" },
      rebuilt: { type: "boolean", description: "False for a left-over, which is dropped" },
      bytes_before: { type: "number" },
      bytes_after: { type: "number" },
      dropped: {
        type: "array",
        items: { type: "string" },
        description: "Left-overs of failed rebuilds that were dropped",
      },
    },
  },
  async run(ctx, input) {
    const { schema, index } = input;
    const limits = limitsOf(input);
    if (ctx.attached) await waitForEnd(ctx);
    const dropped: string[] = [];
    const look = async () => indexOf(await session(ctx), schema, index, limits.lockTimeoutMs);
    const before = await beforeActing(ctx, look);
    const { name, table, bytes } = before;
    if (before.leftover) {
      await dropIndex(await session(ctx), schema, index, { ...limits, signal: ctx.signal });
      return {
        index: name,
        table,
        rebuilt: false,
        bytes_before: bytes,
        bytes_after: 0,
        dropped: [name],
      };
    }
    dropped.push(...(await sweep(ctx, schema, index, limits.lockTimeoutMs)));
    const mark = markOf(ctx);
    // A rebuilt index is another one under the old name.
    const isDone = (facts: IndexFacts, old: number) => facts.valid && facts.oid !== old;
    if (mark === null || !isDone(before, mark)) {
      try {
        await runLong(ctx, statement(schema, index), limits, before.oid);
      } catch (error) {
        await sweep(ctx, schema, index, limits.lockTimeoutMs).catch((left: Error) => {
          ctx.warn(
            `What the rebuild has left of ${name} may still be there; the next run drops it: ${left.message}`,
          );
        });
        throw error;
      }
    }
    const after = await look();
    if (!isDone(after, mark ?? before.oid))
      throw new PgdbaError(
        "step_failed",
        `${name} is ${after.valid ? "the old one still" : "not valid"}`,
        {
          hint: `Look at it with pgdba index list --index '${name}', and run again.`,
        },
      );
    dropped.push(...(await sweep(ctx, schema, index, limits.lockTimeoutMs)));
    return {
      index: name,
      table,
      rebuilt: true,
      bytes_before: bytes,
      bytes_after: after.bytes,
      dropped,
    };
  },
  varies: ["bytes"],
  async plan(ctx, input) {
    const { lockTimeoutMs } = limitsOf(input);
    const { schema, index } = input;
    const { leftover, bytes } = await indexOf(await session(ctx), schema, index, lockTimeoutMs);
    return {
      sql: leftover
        ? `DROP INDEX CONCURRENTLY ${quoteName(schema, index)}`
        : statement(schema, index),
      lock_timeout: input.lock_timeout ?? LOCK_TIMEOUT,
      bytes,
    };
  },
  ...LONG,
  async probe(ctx) {
    const answer = await LONG.probe(ctx);
    return answer.state === "not_done" ? { ...answer, partly: ctx.noted !== undefined } : answer;
  },
  /** What was there was no better; what a rebuild that was ended has left goes. */
  async undo(ctx, input) {
    if (ctx.noted === undefined) return ctx.unchanged();
    const { lockTimeoutMs } = limitsOf(input);
    const dropped = await sweep(ctx, input.schema, input.index, lockTimeoutMs);
    if (dropped.length === 0) ctx.unchanged();
  },
});

function statement(schema: string, index: string): string {
  return `REINDEX INDEX CONCURRENTLY ${quoteName(schema, index)}`;
}

/** Drops what rebuilds of this index have left behind. @returns their names */
async function sweep(
  ctx: StepContext,
  schema: string,
  index: string,
  lockTimeoutMs: number | undefined,
): Promise<string[]> {
  const pg = await session(ctx);
  const dropped: string[] = [];
  for (const left of await leftoversOf(pg, schema, index)) {
    ctx.log(`dropping ${left.schema}.${left.name}, which a rebuild has left behind`);
    await dropIndex(pg, left.schema, left.name, { lockTimeoutMs });
    dropped.push(quoteName(left.schema, left.name));
  }
  return dropped;
}
