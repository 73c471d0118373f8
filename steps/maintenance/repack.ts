import { PgdbaError } from "../../engine/errors.ts";
import type { SpawnResult, StepContext } from "../../engine/types.ts";
import { quoteName } from "../../providers/planner/twin/names.ts";
import { beforeActing } from "../before-acting.ts";
import { defineStep } from "../define.ts";
import { loginOf, removePassfile, runsHere } from "../local-programs.ts";
import { another, milliseconds, session } from "../sql/session.ts";
import { ON_TABLE } from "./relation/shape.ts";
import { follow } from "./repack/follow.ts";
import { heldBack } from "./repack/gate.ts";
import { endOwn, type Note, noteOf, sweep } from "./repack/leftovers.ts";
import { assertRoomFor, type Table, tableOf } from "./repack/look.ts";
import { programFor } from "./repack/program.ts";

/** Longer than for others: what it waits for at the end is what hours of copying were for. It tries for a second at most at a time. */
const LOCK_TIMEOUT = "60s";
/** Of what the program says. */
const KEPT = 4000;

interface Input {
  schema: string;
  table: string;
  lock_timeout?: string | null;
  timeout?: string | null;
}

export default defineStep({
  type: "maintenance.repack",
  summary: "Rewrite one table with pg_repack while others read and write, and see that it was done",
  docs: `Runs the program pg_repack of this machine, which must be of the version of the extension in the database. Readers and writers are locked
out for a moment at the beginning and at the end; it tries for that for \`lock_timeout\`, a second at most at a time, and ends nobody's session. Before it
copies it waits for all transactions of the database that are older.

Refused is a table without a primary key or a unique index on columns that are NOT NULL, and one for whose copy the disk has no room, where that can be
seen. What a repack that was broken off has left (the trigger, the log, the copy) is dropped first.`,
  example: `- maintenance.repack: {schema: public, table: orders}
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  needs: ["postgres", "primary"],
  uses: ["nodes"],
  // A failover must not wait for hours until a table is copied.
  locks: "config",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["schema", "table"],
    properties: {
      ...ON_TABLE,
      lock_timeout: {
        type: ["string", "null"],
        format: "duration",
        description: `How long to try for each lock; by default ${LOCK_TIMEOUT}`,
      },
      timeout: {
        type: ["string", "null"],
        format: "duration",
        description: "How long all of it may take; as long as it needs without this",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["table", "bytes_before", "bytes_after", "cleaned", "free_bytes"],
    properties: {
      table: { type: "string" },
      bytes_before: { type: "number", description: "With its indexes and its TOAST table" },
      bytes_after: { type: "number" },
      cleaned: { type: "boolean", description: "What a broken repack had left was dropped" },
      free_bytes: {
        type: ["number", "null"],
        description: "On its disk before; null where that can't be seen",
      },
    },
  },
  async run(ctx, input: Input) {
    const { schema, table } = input;
    const lockTimeoutMs = milliseconds(input.lock_timeout ?? LOCK_TIMEOUT)!;
    const read = async () => tableOf(await session(ctx), schema, table, lockTimeoutMs);
    const earlier = noteOf(ctx);
    await endOwn(ctx);
    const look = async () => {
      const program = await programFor(ctx, await session(ctx));
      return { program, before: await read() };
    };
    const { program, before } = await (earlier === null ? beforeActing(ctx, look) : look());
    const cleaned = before.leftovers;
    if (cleaned) await sweep(ctx, before, lockTimeoutMs);
    // An earlier process of this run may have got so far: the table is another file then.
    if (earlier !== null && before.filenode !== earlier.filenode) {
      const pg = await session(ctx);
      await pg.query(`ANALYZE ${quoteName(schema, table)}`, [], { lockTimeoutMs, changes: true });
      return { ...sizes(earlier, await read()), cleaned, free_bytes: null };
    }
    const room = () => assertRoomFor(ctx, before);
    const free_bytes = await (earlier === null && !cleaned ? beforeActing(ctx, room) : room());
    const note: Note = { ...markOf(before), pid: null, began: null };
    ctx.note({ ...note });
    const { said, late, ended } = await repack(ctx, program, note, lockTimeoutMs, input);
    // Its session is gone or another's: nobody is to be ended any more.
    ctx.note({ ...note, pid: null, began: null });
    const after = await settled(ctx, before, read, lockTimeoutMs);
    if (after.filenode !== before.filenode) {
      if (ended.exit_code !== 0)
        ctx.warn(`pg_repack has rewritten ${before.name}, and says: ${said}`);
      return { ...sizes(before, after), cleaned, free_bytes };
    }
    throw failure(before, { said, late, ended }, input);
  },
  async plan(ctx, input: Input) {
    const pg = await session(ctx);
    const program = await programFor(ctx, pg);
    const lockTimeoutMs = milliseconds(input.lock_timeout ?? LOCK_TIMEOUT)!;
    const found = await tableOf(pg, input.schema, input.table, lockTimeoutMs);
    const free_bytes = await assertRoomFor(ctx, found);
    return {
      command: [program, ...argumentsFor(found.name, lockTimeoutMs)],
      bytes: found.bytes,
      free_bytes,
      leftovers: found.leftovers,
    };
  },
  /** A rewritten table is as good as the old one: only what lies beside it goes. */
  async undo(ctx, input: Input) {
    await removePassfile(ctx);
    const note = noteOf(ctx);
    if (note === null) return ctx.unchanged();
    await endOwn(ctx);
    const lockTimeoutMs = milliseconds(input.lock_timeout ?? LOCK_TIMEOUT)!;
    const { leftovers } = await tableOf(
      await session(ctx),
      input.schema,
      input.table,
      lockTimeoutMs,
    );
    if (leftovers) await sweep(ctx, note, lockTimeoutMs);
  },
  async forget(ctx) {
    await removePassfile(ctx);
  },
});

const markOf = ({ oid, name, filenode, bytes }: Table) => ({ oid, name, filenode, bytes });

const sizes = (before: { name: string; bytes: number }, after: Table) => ({
  table: before.name,
  bytes_before: before.bytes,
  bytes_after: after.bytes,
});

function argumentsFor(name: string, lockTimeoutMs: number): string[] {
  const seconds = Math.max(1, Math.ceil(lockTimeoutMs / 1000));
  return [`--table=${name}`, `--wait-timeout=${seconds}`, "--no-kill-backend", "--no-password"];
}

interface Ended {
  ended: SpawnResult;
  /** The end of what it has written. */
  said: string;
  late: boolean;
}

/** Runs the program to its end, and follows it meanwhile. */
async function repack(
  ctx: StepContext,
  program: string,
  note: Note,
  lockTimeoutMs: number,
  { timeout }: Input,
): Promise<Ended> {
  const allowed = milliseconds(timeout ?? undefined);
  const own = await another(ctx);
  const over = new AbortController();
  const known = Promise.withResolvers<void>();
  const decoder = new TextDecoder();
  let said = "";
  let late = false;
  const following = follow(ctx, note, own, over.signal, {
    said: () => said.trimEnd().split("\n").at(-1) ?? "",
    known: known.resolve,
    until: allowed === undefined ? undefined : ctx.clock.monotonic() + allowed,
    late: () => (late = true),
  });
  try {
    const env = {
      ...(await loginOf(ctx)),
      PGDATABASE: own.info.database,
      // By this name those that work on other tables know that they need not wait for it.
      PGAPPNAME: "pg_repack",
    };
    const onStderr = (bytes: Uint8Array) => {
      said = (said + decoder.decode(bytes, { stream: true })).slice(-KEPT);
    };
    const argv = [program, ...argumentsFor(note.name, lockTimeoutMs)];
    const ended = await heldBack(ctx, note.name, lockTimeoutMs, known.promise, () =>
      runsHere(ctx)(argv, { env, onStderr }).finally(known.resolve),
    );
    return { ended, said: said.trim().split("\n").slice(-4).join("; "), late };
  } finally {
    over.abort();
    await following;
    await removePassfile(ctx);
  }
}

/** The table afterwards, without what a program that did not end well has left. */
async function settled(
  ctx: StepContext,
  before: Table,
  read: () => Promise<Table>,
  lockTimeoutMs: number,
): Promise<Table> {
  const after = await read();
  if (!after.leftovers) return after;
  try {
    await sweep(ctx, before, lockTimeoutMs);
  } catch (error) {
    ctx.warn(
      `What pg_repack has left of ${before.name} is still there; the next run drops it: ${(error as Error).message}`,
    );
  }
  return after;
}

function failure({ name }: Table, { said, late, ended }: Ended, { timeout }: Input): PgdbaError {
  if (late)
    return new PgdbaError("timeout", `${name} could not be rewritten in ${timeout}: ${said}`, {
      hint: `The table is as it was. Run again with a longer --timeout; a transaction that is open for long keeps it waiting (\`pgdba session list\`).`,
      retryable: true,
    });
  const how = ended.signal ?? ended.exit_code;
  return ended.exit_code === 0
    ? new PgdbaError("timeout", `pg_repack has given up ${name}: ${said}`, {
        hint: "The table is as it was. `pgdba locks tree` shows who holds a lock on it; run again with a longer --lock-timeout.",
        retryable: true,
      })
    : new PgdbaError("command_failed", `pg_repack failed (${how}): ${said}`, {
        hint: "The table is as it was. Mend what pg_repack says, then run again.",
      });
}
