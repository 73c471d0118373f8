import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { quoteIdent, quoteLiteral, quoteName } from "../../providers/planner/twin/names.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { beforeActing } from "../before-acting.ts";
import { defineStep } from "../define.ts";
import { lockTimeoutInput } from "../sql/lock-timeout.ts";
import { milliseconds, session } from "../sql/session.ts";
import { lookAtMove, type Move, movingAround, type Range, rowsMoved } from "./move/move.ts";
import { type Alike, alike as likeSiblings } from "./siblings/alike.ts";

const LOCK_TIMEOUT = "2s";
const TIMEOUT_MS = 30_000;

const OWNER = `SELECT pg_get_userbyid(c.relowner)::text AS owner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`;

interface Facts {
  owner: string;
  /** Null where no rows are moved. */
  move: Move | null;
  alike: Alike;
}

const text = (description: string) => ({ type: "string", minLength: 1, description }) as const;

export default defineStep({
  type: "partition.make",
  summary:
    "Make a partition by range, owned by its table's owner, with rows out of the default partition",
  docs: `One transaction, so that nobody sees a partition that its table's owner can't change. It gets the grants and storage parameters that all partitions beside it have; grants that only some have
are a warning, and so are all of them where the others have row security of their own. With \`out_of\` the rows of the range go along, while nobody else reads or writes the table: they are put aside
and deleted, the partition is made, and they are inserted. Refused where more would happen than that: foreign keys that reference the table (ON DELETE CASCADE would delete what points to the rows),
and triggers on INSERT or DELETE.`,
  example: `- partition.make: {schema: public, table: log, name: log_2, from: 2030-01-01, to: 2030-02-01}
`,
  effect: "change",
  oneAct: true,
  idempotent: false,
  needs: ["postgres", "primary"],
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["schema", "table", "name", "from", "to"],
    properties: {
      schema: text("That of the partitioned table, and of the new partition"),
      table: text("The partitioned table"),
      name: text("The new partition"),
      from: text("The first value that it takes"),
      to: text("The first value that it does not take any more"),
      out_of: {
        type: ["object", "null"],
        additionalProperties: false,
        required: ["schema", "table", "column"],
        properties: {
          schema: text("Its schema"),
          table: text("Its name"),
          column: text("The column that the table is partitioned by"),
        },
        description: "The default partition whose rows of the range go into the new one",
      },
      lock_timeout: lockTimeoutInput(LOCK_TIMEOUT, "the lock"),
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["moved", "granted"],
    properties: {
      granted: {
        type: ["array", "null"],
        items: {
          type: "object",
          additionalProperties: false,
          required: ["role", "rights"],
          properties: { role: { type: "string" }, rights: { type: "string" } },
        },
        description:
          "What it was granted as all partitions beside it are; null where an earlier process did it",
      },
      moved: {
        type: ["integer", "null"],
        description: "Rows; null where an earlier process did it",
      },
    },
  },
  async run(ctx, input) {
    const pg = await session(ctx);
    const facts = await beforeActing(ctx, () => look(ctx, pg, input));
    const lockTimeoutMs = milliseconds(input.lock_timeout ?? LOCK_TIMEOUT);
    const moved = await pg.transaction(
      { readOnly: false, lockTimeoutMs, signal: ctx.signal },
      async (run) => {
        const counts: number[] = [];
        for (const sql of statements(input, facts)) counts.push((await run(sql)).row_count);
        return facts.move === null ? 0 : rowsMoved(input, counts);
      },
    );
    for (const warning of facts.alike.warnings) ctx.warn(warning);
    return { moved, granted: facts.alike.granted.map((one) => ({ ...one })) };
  },
  async plan(ctx, input) {
    const facts = await look(ctx, await session(ctx), input);
    for (const warning of facts.alike.warnings) ctx.warn(warning);
    return { sql: statements(input, facts).join(";\n") };
  },
  async probe(ctx, { schema, name }) {
    const sql = `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND c.relispartition`;
    const { rows } = await (await session(ctx)).query(sql, [schema, name]);
    return rows.length > 0
      ? { state: "done", output: { moved: null, granted: null } }
      : { state: "not_done" };
  },
});

interface Input extends Range {
  /** The new partition. */
  name: string;
}

/** @throws PgdbaError step_refused where it would do more than move rows */
async function look(ctx: StepContext, pg: PgSession, input: Input): Promise<Facts> {
  const { schema, table } = input;
  const options = { timeoutMs: TIMEOUT_MS, signal: ctx.signal };
  const [found] = (await pg.query(OWNER, [schema, table], options)).rows;
  if (found === undefined)
    throw new PgdbaError("step_refused", `There is no table ${schema}.${table} any more`, {
      hint: "Somebody has dropped it, or given it another name: look, and run it again.",
    });
  return {
    owner: String(found["owner"]),
    alike: await likeSiblings(pg, input, quoteName(schema, input.name)),
    move: await lookAtMove(pg, input, options),
  };
}

function statements(input: Input, { owner, move, alike }: Facts): string[] {
  const table = quoteName(input.schema, input.table);
  const made = quoteName(input.schema, input.name);
  const [from, to] = [quoteLiteral(input.from), quoteLiteral(input.to)];
  const making = [
    `CREATE TABLE ${made} PARTITION OF ${table} FOR VALUES FROM (${from}) TO (${to})`,
    `ALTER TABLE ${made} OWNER TO ${quoteIdent(owner)}`,
    ...alike.statements,
  ];
  return move === null ? making : movingAround(making, input, move);
}
