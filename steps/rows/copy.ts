import { PgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { Json, ProbeResult, StepContext } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { defineStep } from "../define.ts";
import { lockTimeoutInput } from "../sql/lock-timeout.ts";
import { serverOf, session } from "../sql/session.ts";
import { changed } from "./copy/changed.ts";
import { assertAll, assertSome, assertUnique, otherRows } from "./copy/refusals.ts";
import { Stage } from "./copy/stage.ts";
import { writable } from "./copy/writable.ts";
import { Found } from "./sides/found.ts";
import { onBoth, type Sides, SIDES, type SidesInput } from "./sides/open.ts";
import { batchOf } from "./sides/select.ts";

const LOCK_TIMEOUT = "2s";
const LIMIT = 10;
const ENDS_MS = 30_000;

interface Input extends SidesInput {
  table: string;
  missing?: boolean | undefined;
  different?: boolean | undefined;
  rows?: number | null | undefined;
  limit?: number | undefined;
  lock_timeout?: string | null | undefined;
}

/** On disk before it is committed. */
type Noted = { xid: string; started: string; inserted: number; overwritten: number };

export default defineStep({
  type: "rows.copy",
  summary: "Copy rows that are missing, or differ, from a second server into the target",
  docs: `Both sides are compared as \`rows.compare\` does; the rows of the second server that the target lacks are brought into a temporary table, and then inserted by one statement,
with \`different\` another one overwrites those of the same key. All in one transaction, in which the target sees the rows of one moment: who changes one of them meanwhile makes it fail. A
key that somebody has inserted meanwhile is an error, too, and nothing is done.

All columns are copied by name, identities too, generated ones are computed anew. Triggers and foreign keys act as ever: a trigger may change what is written. Sequences are not moved. There is
no way back but a statement of one's own. After a crash the server is asked whether the transaction was committed.`,
  example: `- rows.copy:
    table: shop.orders
    member: delayed
    rows: 120
`,
  effect: "change",
  oneAct: true,
  idempotent: false,
  risk: "disruptive",
  locks: "none",
  needs: ["postgres", "primary"],
  uses: ["member", "patroni"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["table"],
    properties: {
      table: { type: "string", minLength: 1 },
      ...SIDES,
      missing: { type: "boolean", default: true, description: "Insert the rows that are missing." },
      different: {
        type: "boolean",
        default: false,
        description: "Overwrite the rows that differ.",
      },
      rows: {
        type: ["integer", "null"],
        minimum: 0,
        description: "Change exactly this many rows, or nothing; without it any number.",
      },
      limit: {
        type: "integer",
        minimum: 0,
        maximum: 10_000,
        default: LIMIT,
        description: "Rows shown of each kind.",
      },
      lock_timeout: lockTimeoutInput(LOCK_TIMEOUT),
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["table", "against", "inserted", "overwritten", "inserted_keys", "befores"],
    properties: {
      table: { type: "string" },
      against: { type: "string", description: "Where the rows come from" },
      inserted: { type: "integer" },
      overwritten: { type: "integer" },
      inserted_keys: {
        type: "array",
        items: { type: "object" },
        description: "The first of them; none where a crash came after it",
      },
      befores: {
        type: "array",
        description: "The first of the rows that were overwritten, with what they were",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["key", "was", "is"],
          properties: {
            key: { type: "object" },
            was: { type: "object" },
            is: { type: "object" },
          },
        },
      },
    },
  },
  async run(ctx, input: Input) {
    assertSome(input);
    const writes = { lockTimeoutMs: parseDuration(input.lock_timeout ?? LOCK_TIMEOUT) };
    const started = await serverOf(await session(ctx));
    return onBoth(ctx, input, writes, async (sides) => {
      const { pair, found, stage, columns } = await gathered(ctx, sides, input);
      const told = found.told();
      const wanted = counts(input, found);
      const total = wanted.inserted + wanted.overwritten;
      if (input.rows != null && input.rows !== total) throw otherRows(input.rows, wanted);
      const output = {
        table: input.table,
        against: sides.against,
        ...wanted,
        inserted_keys: input.missing === false ? [] : told.only_there_keys,
        befores: [] as Json[],
      };
      if (total === 0) {
        ctx.unchanged();
        return output;
      }
      if (wanted.overwritten > 0)
        output.befores = (await stage.befores(input.limit ?? LIMIT)).map((row) =>
          changed(pair, columns, row),
        );
      if (output.befores.length < wanted.overwritten)
        ctx.warn(
          `Only ${output.befores.length} of the ${wanted.overwritten} rows that are overwritten are shown with what they were: --limit shows more.`,
        );
      await sides.restore();
      const [xid] = (await sides.here("SELECT pg_catalog.pg_current_xact_id()::text AS id")).rows;
      ctx.note({ xid: String(xid!["id"]), started, ...wanted } satisfies Noted);
      // Overwriting may free a unique value that an inserted row needs, or need one that is inserted: where the order is wrong, the server refuses.
      const overwritten = wanted.overwritten === 0 ? 0 : await stage.update();
      assertAll(overwritten, wanted.overwritten, "overwritten");
      assertAll(wanted.inserted === 0 ? 0 : await stage.insert(), wanted.inserted, "inserted");
      return output;
    });
  },
  async plan(ctx, input: Input): Promise<Json> {
    assertSome(input);
    return onBoth(ctx, input, null, async (sides) => {
      const pair = await sides.pair(input.table);
      const columns = writable(pair, input.different === true);
      const found = new Found(pair, input.limit ?? LIMIT);
      await sides.compare(pair, (one) => found.add(one));
      assertUnique(found);
      const wanted = counts(input, found);
      const total = wanted.inserted + wanted.overwritten;
      if (input.rows != null && input.rows !== total) throw otherRows(input.rows, wanted);
      const told = found.told();
      return {
        table: input.table,
        from: sides.against,
        insert: wanted.inserted,
        ...(wanted.inserted > 0 ? { first_keys: told.only_there_keys } : {}),
        overwrite: wanted.overwritten,
        ...(wanted.overwritten > 0 ? { first_different: told.different_keys } : {}),
        columns,
        triggers: pair.here.triggers
          .filter(
            (one) => (one.insert && wanted.inserted > 0) || (one.update && wanted.overwritten > 0),
          )
          .map((one) => `${one.name}: ${one.function}`),
      };
    });
  },
  async probe(ctx, input: Input): Promise<ProbeResult> {
    const noted = ctx.noted as Noted | undefined;
    if (noted === undefined) return { state: "not_done" };
    const pg = await session(ctx);
    if ((await serverOf(pg)) !== noted.started)
      return { state: "unknown", reason: "The server was started anew, or is another one, since" };
    const state = await stateOf(ctx, pg, noted.xid);
    if (state === "committed") {
      const { inserted, overwritten } = noted;
      const against = input.cluster ? `cluster ${input.cluster}` : `member ${input.member}`;
      const none = { inserted_keys: [], befores: [] };
      return {
        state: "done",
        output: { table: input.table, against, inserted, overwritten, ...none },
      };
    }
    if (state === "aborted") return { state: "not_done" };
    return {
      state: "unknown",
      reason: `Its transaction ${noted.xid} is still under way, or too old`,
    };
  },
});

/** How its transaction ended; one that is still under way is given a while: its session sees only at the end of a statement that nobody is there. */
async function stateOf(ctx: StepContext, pg: PgSession, xid: string): Promise<unknown> {
  for (const until = ctx.clock.monotonic() + ENDS_MS; ;) {
    const { rows } = await pg.ask("SELECT pg_xact_status($1::xid8) AS state", [xid]);
    const state = rows[0]?.["state"];
    if (state !== "in progress" || ctx.clock.monotonic() > until) return state;
    await ctx.clock.sleep(200, ctx.signal);
  }
}

/** Compares both sides, and stages what is to be written. */
async function gathered(ctx: StepContext, sides: Sides, input: Input) {
  const { missing = true, different = false } = input;
  const pair = await sides.pair(input.table);
  const columns = writable(pair, different);
  if ([sides.info.here, sides.info.there].some(({ encoding }) => encoding === "SQL_ASCII"))
    throw new PgdbaError("unsupported", "Rows of a database of encoding SQL_ASCII are not copied", {
      hint: "Nobody knows what their texts mean. Use pg_dump with --data-only.",
      nothingDone: true,
    });
  const found = new Found(pair, input.limit ?? LIMIT);
  const stage = new Stage(pair, columns, sides.here, sides.there);
  await stage.make();
  const step = batchOf(pair) * 10;
  let met = 0;
  await sides.compare(pair, (one) => {
    found.add(one);
    met += 1;
    if (met % step === 0)
      ctx.progress({
        done: met,
        total: Math.max(met, pair.there.rows),
        unit: "rows",
        text: `${stage.rows} brought over`,
      });
    if (one.what === "there" && missing) return stage.add({ there: one.there, here: null });
    if (one.what === "different" && different)
      return stage.add({ there: one.there, here: one.here });
    return undefined;
  });
  await stage.flush();
  assertUnique(found);
  return { pair, found, stage, columns };
}

const counts = (
  { missing = true, different = false }: Input,
  found: Found,
): { inserted: number; overwritten: number } => ({
  inserted: missing ? found.only_there : 0,
  overwritten: different ? found.different : 0,
});
