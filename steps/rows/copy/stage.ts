import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import type { Run } from "../../../providers/postgres/session.ts";
import { columnOf, textOf } from "../sides/select.ts";
import type { Row } from "../sides/side.ts";
import { fromClause, nameOf, type Pair } from "../sides/table.ts";

const STAGE = "pg_temp.pgdba_copied";
/** Rows that are brought over at once, where they are not too large for that. */
const BATCH = 500;
const MAX_BYTES = 16 * 1024 * 1024;

/** A row to bring over: its place there, and that of the row here which it overwrites. */
interface Wanted {
  there: Row;
  here: Row | null;
}

/**
 * Brings rows of the second server into a temporary table of the target, each by its place, which stays as long as the transaction that read it: no index is
 * asked. From there one statement writes them all, so that rows which reference each other come together.
 */
export class Stage {
  readonly #pair: Pair;
  readonly #columns: string[];
  readonly #here: Run;
  readonly #there: Run;
  readonly #wanted: Wanted[] = [];
  rows = 0;

  /** `columns`: those that are written. */
  constructor(pair: Pair, columns: string[], here: Run, there: Run) {
    this.#pair = pair;
    this.#columns = columns;
    this.#here = here;
    this.#there = there;
  }

  async make(): Promise<void> {
    const columns = this.#columns.map((name, at) => `c${at} ${this.#type(name)}`);
    await this.#here(
      `CREATE TEMP TABLE pgdba_copied (n bigint, at tid, part oid, ${columns.join(", ")}) ON COMMIT DROP`,
    );
  }

  add(wanted: Wanted): Promise<void> | undefined {
    this.#wanted.push(wanted);
    return this.#wanted.length < BATCH ? undefined : this.flush();
  }

  async flush(): Promise<void> {
    const all = this.#wanted.splice(0);
    for (const part of new Set(all.map(({ there }) => there.part)))
      await this.#bring(
        part,
        all.filter(({ there }) => there.part === part),
      );
  }

  /** Inserts the rows that are missing; gives how many it has inserted. */
  async insert(): Promise<number> {
    const values = this.#columns.map((_, at) => `c${at}`).join(", ");
    const { row_count } = await this.#here(
      `INSERT INTO ${nameOf(this.#pair.here)} (${this.#columns.map(quoteIdent).join(", ")}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM ${STAGE} WHERE at IS NULL ORDER BY n`,
      [],
      { drain: true },
    );
    return row_count;
  }

  /** Overwrites the rows that differ, but for their key; gives how many. */
  async update(): Promise<number> {
    const set = this.#columns.flatMap((name, at) =>
      this.#pair.key.includes(name) ? [] : [`${quoteIdent(name)} = s.c${at}`],
    );
    // A generated column is computed anew from the others, which are equal.
    if (set.length === 0) throw onlyGenerated();
    const { row_count } = await this.#here(
      `UPDATE ${fromClause(this.#pair.here)} AS t SET ${set.join(", ")} FROM ${STAGE} s WHERE s.at IS NOT NULL AND t.ctid = s.at AND t.tableoid = s.part`,
      [],
      { drain: true },
    );
    return row_count;
  }

  /** What the rows are that will be overwritten, the first of them: their columns as texts, in the order of `columns`. */
  async befores(limit: number): Promise<{ before: (string | null)[]; after: (string | null)[] }[]> {
    if (limit === 0) return [];
    const after = this.#columns.map((_, at) => `s.c${at}::pg_catalog.text`);
    const before = this.#columns.map((name) => `t.${textOf(name)}`);
    const { rows } = await this.#here(
      `SELECT pg_catalog.to_json(ARRAY[${before.join(", ")}]) AS before, pg_catalog.to_json(ARRAY[${after.join(", ")}]) AS after
        FROM ${STAGE} s JOIN ${fromClause(this.#pair.here)} AS t ON t.ctid = s.at AND t.tableoid = s.part ORDER BY s.n LIMIT ${limit}`,
    );
    return rows as unknown as { before: (string | null)[]; after: (string | null)[] }[];
  }

  async #bring(part: string, wanted: Wanted[]): Promise<void> {
    const texts = this.#columns.map(textOf).join(", ");
    const { rows, truncated } = await this.#there(
      `SELECT ctid::pg_catalog.text AS at, pg_catalog.to_json(ARRAY[${texts}]::pg_catalog.text[])::pg_catalog.text AS "values"
        FROM ${fromClause(this.#pair.there)} WHERE ctid = ANY ($1::tid[]) AND tableoid = $2::oid`,
      [wanted.map(({ there }) => there.at), part],
      { maxRows: BATCH, maxBytes: MAX_BYTES, drain: true },
    );
    if (truncated || rows.some((row) => row["values"] === undefined)) {
      if (wanted.length === 1) throw tooLarge();
      const half = Math.ceil(wanted.length / 2);
      await this.#bring(part, wanted.slice(0, half));
      return this.#bring(part, wanted.slice(half));
    }
    if (rows.length !== wanted.length)
      throw new PgdbaError("step_failed", "Rows of the second server went while they were read", {
        hint: "Nothing was changed. Run it again.",
        nothingDone: true,
      });
    await this.#put(wanted, new Map(rows.map((row) => [String(row["at"]), row])));
  }

  async #put(wanted: Wanted[], found: ReadonlyMap<string, JsonObject>): Promise<void> {
    const rows = wanted.map(({ there, here }, at) => ({
      n: this.rows + at,
      at: here?.at ?? null,
      part: here?.part ?? null,
      v: JSON.parse(String(found.get(there.at)!["values"])) as (string | null)[],
    }));
    this.rows += rows.length;
    const values = this.#columns.map((name, at) => `(r->'v'->>${at})::${this.#type(name)}`);
    await this.#here(
      `INSERT INTO ${STAGE} SELECT (r->>'n')::bigint, (r->>'at')::tid, (r->>'part')::oid, ${values.join(", ")} FROM pg_catalog.jsonb_array_elements($1::jsonb) r`,
      [JSON.stringify(rows)],
    );
  }

  #type(name: string): string {
    return columnOf(this.#pair.here, name).type;
  }
}

function onlyGenerated(): PgdbaError {
  return new PgdbaError(
    "step_refused",
    "The rows differ in generated columns alone, which can't be overwritten",
    {
      hint: "Nothing was changed. Compare how both servers generate these columns.",
      nothingDone: true,
    },
  );
}

function tooLarge(): PgdbaError {
  return new PgdbaError("limit_exceeded", "A row is larger than 16 MB, and is not copied", {
    hint: "Leave it out with --where, and bring it over with pg_dump or COPY.",
    nothingDone: true,
  });
}
