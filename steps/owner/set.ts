import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { quoteIdent } from "../../providers/planner/twin/names.ts";
import { beforeActing } from "../before-acting.ts";
import { defineStep } from "../define.ts";
import { lockTimeoutInput } from "../sql/lock-timeout.ts";
import { milliseconds, session } from "../sql/session.ts";
import OBJECTS from "./sql/objects.sql" with { type: "text" };

const LOCK_TIMEOUT = "2s";
const TIMEOUT_MS = 30_000;

interface Owned {
  /** As ALTER takes it: `TABLE public.orders`, `ROUTINE public.f(integer)`. */
  object: string;
  owner: string;
  /** What the new owner was granted before: it gets lost when it owns the object and gives it back. */
  grants: string[];
}

export default defineStep({
  type: "owner.set",
  summary:
    "Give tables, views, sequences, types and routines to another owner; the undo gives them back",
  docs: `All of them in one transaction, each with a short lock timeout: either all change hands or none. Sequences of columns and indexes go with their table,
partitions are named by themselves. The undo gives each back to who owned it, and grants the new owner again what it was granted before.`,
  example: `- owner.set: {objects: [TABLE public.orders], to: app}
`,
  effect: "change",
  idempotent: true,
  needs: ["postgres", "primary"],
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["objects", "to"],
    properties: {
      objects: {
        type: "array",
        items: { type: "string", minLength: 1 },
        description:
          "Each with its kind (TABLE, TYPE or ROUTINE) and its name as SQL writes it, with the schema",
      },
      to: { type: "string", minLength: 1, description: "The role that is to own them" },
      lock_timeout: lockTimeoutInput(LOCK_TIMEOUT),
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["changed"],
    properties: {
      changed: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["object", "before"],
          properties: { object: { type: "string" }, before: { type: "string" } },
        },
        description: "With who owned each before",
      },
    },
  },
  async run(ctx, { objects, to, lock_timeout }) {
    const now = await beforeActing(ctx, () => find(ctx, objects, to));
    // A resumed run has given some away already, and knows from its note whose they were.
    const before = (ctx.noted as Owned[] | undefined) ?? now.filter(({ owner }) => owner !== to);
    const statements = now
      .filter(({ owner }) => owner !== to)
      .map(({ object }) => `ALTER ${object} OWNER TO ${quoteIdent(to)}`);
    if (statements.length > 0) {
      ctx.note(before.map((one) => ({ ...one })));
      await all(ctx, statements, lock_timeout);
    } else if (ctx.noted === undefined) ctx.unchanged();
    return { changed: before.map(({ object, owner }) => ({ object, before: owner })) };
  },
  async plan(ctx, { objects, to }) {
    const now = await find(ctx, objects, to);
    return {
      sql: now
        .filter(({ owner }) => owner !== to)
        .map(({ object }) => `ALTER ${object} OWNER TO ${quoteIdent(to)}`)
        .join(";\n"),
    };
  },
  async undo(ctx, { to, lock_timeout }) {
    const before = ctx.noted as Owned[] | undefined;
    if (before === undefined) return ctx.unchanged();
    const now = await find(
      ctx,
      before.map(({ object }) => object),
      to,
    );
    const ours = new Set(now.filter(({ owner }) => owner === to).map(({ object }) => object));
    const statements = before
      .filter(({ object }) => ours.has(object))
      .flatMap(({ object, owner, grants }) => [
        `ALTER ${object} OWNER TO ${quoteIdent(owner)}`,
        ...grants,
      ]);
    if (statements.length === 0) return ctx.unchanged();
    await all(ctx, statements, lock_timeout);
  },
});

/** @throws PgdbaError step_refused for one that is not there */
async function find(ctx: StepContext, objects: readonly string[], to: string): Promise<Owned[]> {
  const pg = await session(ctx);
  const { rows } = await pg.query(OBJECTS, [objects, to], { timeoutMs: TIMEOUT_MS });
  const found = rows as unknown as Owned[];
  const missing = objects.find((one) => !found.some(({ object }) => object === one));
  if (missing !== undefined)
    throw new PgdbaError("step_refused", `There is no ${missing} in this database any more`, {
      hint: "Somebody may have renamed or dropped it meanwhile; run again.",
    });
  return found;
}

async function all(
  ctx: StepContext,
  statements: readonly string[],
  lockTimeout: string | null | undefined,
): Promise<void> {
  const pg = await session(ctx);
  const lockTimeoutMs = milliseconds(lockTimeout ?? LOCK_TIMEOUT);
  await pg.transaction({ readOnly: false, lockTimeoutMs, signal: ctx.signal }, async (run) => {
    for (const sql of statements) await run(sql);
  });
}
