import { quoteName } from "../../providers/planner/twin/names.ts";
import { defineStep } from "../define.ts";
import { LONG } from "../sql/long/run.ts";
import { session } from "../sql/session.ts";
import { lookAfter } from "./relation/look-after.ts";
import { relationOf } from "./relation/relation.ts";
import { LIMITS, limitsOf, LOCK_TIMEOUT, ON_TABLE } from "./relation/shape.ts";

/** From so many dead rows on it is worth saying that they stay. */
const MANY_DEAD = 1000;

interface Input {
  schema: string;
  table: string;
  freeze?: boolean;
  analyze?: boolean;
  index_cleanup?: "auto" | "on" | "off";
}

export default defineStep({
  type: "maintenance.vacuum",
  summary: "Vacuum one table, and see that it was done",
  docs: `VACUUM in a session of its own, with a lock timeout; readers and writers go on. The server's progress is told. A user who may not vacuum
the table is refused, where the server itself would only warn. Dead rows that stay because somebody may still see them are told as a warning.

\`freeze\` also marks all rows as old, so that transaction ids can be used again. \`index_cleanup: off\` leaves the indexes as they are: the
quickest way when ids run out.`,
  example: `- maintenance.vacuum: {schema: public, table: orders, analyze: true}
`,
  effect: "change",
  idempotent: true,
  // The server ends a command that is cancelled, and goes on with it when this process is gone.
  interruptible: true,
  job: true,
  needs: ["postgres", "primary"],
  // The server's own lock keeps two of them from one table, and nothing else has to wait.
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["schema", "table"],
    properties: {
      ...ON_TABLE,
      freeze: { type: "boolean", default: false, description: "Freeze all rows" },
      analyze: { type: "boolean", default: false, description: "Analyse it as well" },
      index_cleanup: {
        enum: ["auto", "on", "off"],
        default: "auto",
        description:
          "auto leaves it to the server, which from 14 on passes the indexes by where few pages have dead rows; their pages can't be cut off the end then, which on does",
      },
      ...LIMITS,
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["table", "dead_before", "dead_after", "age_before", "age_after", "bytes", "freed"],
    properties: {
      table: { type: "string" },
      dead_before: { type: "number" },
      dead_after: { type: "number", description: "Dead rows that stay; with analyze its estimate" },
      age_before: { type: "number", description: "Transactions since its oldest" },
      age_after: { type: "number" },
      bytes: { type: "number", description: "Its size afterwards, without indexes" },
      freed: { type: "number", description: "Bytes that were given back" },
    },
  },
  async run(ctx, input) {
    const { before, after } = await lookAfter(ctx, input, "vacuums", statement(input));
    const stay = after.dead >= MANY_DEAD && after.dead * 2 >= before.dead;
    const old = input.freeze === true && after.age * 2 >= before.age && after.age >= 1_000_000;
    if (stay || old)
      ctx.warn(
        `${before.name} keeps ${stay ? `${after.dead} dead rows` : "its old transaction ids"}: somebody may still see them (pgdba maintenance plan tells who)`,
      );
    return {
      table: before.name,
      dead_before: before.dead,
      dead_after: after.dead,
      age_before: before.age,
      age_after: after.age,
      bytes: after.bytes,
      freed: Math.max(0, before.bytes - after.bytes),
    };
  },
  varies: ["dead", "age", "bytes"],
  async plan(ctx, input) {
    const { lockTimeoutMs } = limitsOf(input);
    const found = await relationOf(await session(ctx), input.schema, input.table, lockTimeoutMs);
    const { dead, age, bytes } = found;
    return {
      sql: statement(input),
      lock_timeout: input.lock_timeout ?? LOCK_TIMEOUT,
      dead,
      age,
      bytes,
    };
  },
  ...LONG,
});

function statement({
  schema,
  table,
  freeze,
  analyze,
  index_cleanup: cleanup = "auto",
}: Input): string {
  const options = [
    ...(freeze === true ? ["FREEZE"] : []),
    ...(analyze === true ? ["ANALYZE"] : []),
    // Before 14 there is no auto; it is what happens anyway.
    ...(cleanup === "auto" ? [] : [`INDEX_CLEANUP ${cleanup}`]),
  ];
  const given = options.length === 0 ? "" : `(${options.join(", ")}) `;
  return `VACUUM ${given}${quoteName(schema, table)}`;
}
