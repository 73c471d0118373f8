/**
 * Makes one table stand by itself in a database that is thrown away afterwards, so that a dump of it can be loaded beside the table that it was: everything
 * that has a name in its schema gets another one, and all that would act on other tables, or on its own rows, is left out and told.
 */
import { PgdbaError } from "../../../engine/errors.ts";
import { quoteIdent, quoteName } from "../../planner/twin/names.ts";
import type { PgSession, Run } from "../../postgres/session.ts";
import { unquoted, withSuffix } from "./names.ts";

export interface Wish {
  schema: string;
  table: string;
  /** The name that it has in the dump. */
  name: string;
  /** At the end of the names of its indexes, sequences, statistics and partitions. */
  mark: string;
}

export interface Alone {
  /** The table and its partitions, as SQL: what is to be dumped. */
  tables: string[];
  rows: number;
  partitions: number;
  /** The roles that own these. */
  owners: string[];
  /** The schemas that these lie in. */
  schemas: string[];
  /** Statements that make the extended statistics anew: older programs leave these out of the dump of a table. */
  statistics: string[];
  left_out: LeftOut[];
}

export interface LeftOut {
  kind: "foreign key" | "trigger" | "rule" | "policy" | "parent" | "child" | "partition";
  name: string;
  /** As SQL where that says more. */
  definition: string | null;
}

const FOUND = `SELECT c.oid::text AS oid, c.relkind::text AS kind, c.relispartition AS part, c.relpersistence = 'u' AS unlogged
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`;
const SIMILAR = `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND lower(c.relname) = lower($1) AND n.nspname !~ '^pg_' ORDER BY 1 LIMIT 5`;
const TREE = `WITH RECURSIVE tree AS (SELECT $1::text::oid AS oid UNION ALL
    SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition),
  above AS (SELECT $1::text::oid AS oid UNION ALL SELECT i.inhparent FROM above JOIN pg_inherits i ON i.inhrelid = above.oid)`;
const TABLES = `${TREE} SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, pg_get_userbyid(c.relowner) AS owner, c.oid = $1::text::oid AS own
  FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY own DESC, 1, 2`;
const PARENTS = `SELECT p.oid::regclass::text AS parent FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = $1::text::oid`;
const CHILDREN = `SELECT i.inhrelid::regclass::text AS child FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = $1::text::oid AND NOT c.relispartition ORDER BY 1`;
/** Partitions whose rows lie elsewhere. */
const FOREIGN = `${TREE} SELECT c.oid::regclass::text AS name, i.inhparent::regclass::text AS parent FROM tree JOIN pg_class c ON c.oid = tree.oid
  JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relkind = 'f'`;
/** Those that lead here from other tables, and those that lead from here. */
const KEYS = `${TREE} SELECT DISTINCT conrelid::regclass::text AS of, quote_ident(conname) AS name, pg_get_constraintdef(k.oid) AS definition, conrelid = $1::text::oid AS own
  FROM pg_constraint k WHERE contype = 'f' AND conparentid = 0
  AND (confrelid IN (SELECT oid FROM above UNION SELECT oid FROM tree) OR conrelid IN (SELECT oid FROM tree))`;
const TRIGGERS = `${TREE} SELECT tgrelid::regclass::text AS of, quote_ident(tgname) AS name, pg_get_triggerdef(t.oid) AS definition
  FROM pg_trigger t WHERE NOT tgisinternal AND tgparentid = 0 AND tgrelid IN (SELECT oid FROM tree) ORDER BY 1, 2`;
const RULES = `${TREE} SELECT ev_class::regclass::text AS of, quote_ident(rulename) AS name, pg_get_ruledef(r.oid) AS definition
  FROM pg_rewrite r WHERE ev_class IN (SELECT oid FROM tree) ORDER BY 1, 2`;
const POLICIES = `${TREE} SELECT polrelid::regclass::text AS of, quote_ident(polname) AS name, pg_get_expr(polqual, polrelid) AS definition
  FROM pg_policy WHERE polrelid IN (SELECT oid FROM tree) ORDER BY 1, 2`;
const SECURED = `${TREE} SELECT c.oid::regclass::text AS name FROM tree JOIN pg_class c ON c.oid = tree.oid WHERE relrowsecurity OR relforcerowsecurity`;
/** A table that an extension has made is in no dump by itself. */
const EXTENSIONS = `${TREE} SELECT quote_ident(e.extname) AS extension, d.objid::regclass::text AS name FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.objid IN (SELECT oid FROM tree)`;
const NAMED = `${TREE} SELECT 'INDEX' AS kind, n.nspname AS schema, i.relname AS name FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_namespace n ON n.oid = i.relnamespace WHERE x.indrelid IN (SELECT oid FROM tree)
  UNION ALL SELECT 'SEQUENCE', n.nspname, s.relname FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM tree) AND d.deptype IN ('a', 'i')
  UNION ALL SELECT 'STATISTICS', n.nspname, x.stxname FROM pg_statistic_ext x JOIN pg_namespace n ON n.oid = x.stxnamespace WHERE x.stxrelid IN (SELECT oid FROM tree)
  UNION ALL SELECT 'TABLE', n.nspname, c.relname FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid <> $1::text::oid
  ORDER BY 1, 2, 3`;

const STATISTICS = `${TREE} SELECT quote_ident(n.nspname) || '.' || quote_ident(x.stxname) AS name, pg_get_statisticsobjdef(x.oid) AS definition
  FROM pg_statistic_ext x JOIN pg_namespace n ON n.oid = x.stxnamespace WHERE x.stxrelid IN (SELECT oid FROM tree) ORDER BY 1`;

const KINDS: Record<string, string> = {
  v: "a view",
  m: "a materialized view",
  f: "a foreign table",
  S: "a sequence",
  i: "an index",
  I: "an index",
  c: "a type",
};

/**
 * Done again it gives the same: what was done stands in a schema with the table's new name, which is in no dump of it.
 * @throws PgdbaError invalid_param | step_refused
 */
export async function standAlone(session: PgSession, wish: Wish): Promise<Alone> {
  const before = await doneBefore(session, wish);
  if (before !== null) return before;
  const oid = await found(session, wish);
  const left_out: LeftOut[] = [];
  return session.transaction({ readOnly: false, lockTimeoutMs: 30_000 }, async (run) => {
    // A database may have a search_path of its own, with things in it that are called like PostgreSQL's.
    await run("SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)");
    const ask = async (sql: string) => (await run(sql, [oid], { maxRows: 1_000_000 })).rows;
    const { schema, table } = wish;
    const of = quoteName(schema, table);
    for (const { extension, name } of await ask(EXTENSIONS))
      await run(`ALTER EXTENSION ${String(extension)} DROP TABLE ${String(name)}`);
    for (const { name, parent } of await ask(FOREIGN)) {
      await run(`ALTER TABLE ${String(parent)} DETACH PARTITION ${String(name)}`);
      left_out.push({ kind: "partition", name: String(name), definition: null });
    }
    for (const { child } of await ask(CHILDREN))
      left_out.push({ kind: "child", name: String(child), definition: null });
    // A partition shows keys and triggers of its parent as its own once it is by itself, so that these are looked at twice.
    await dropKeys(run, await ask(KEYS), left_out);
    for (const { parent } of await ask(PARENTS)) {
      const isPart = (
        await run("SELECT relispartition AS part FROM pg_class WHERE oid = $1::text::oid", [oid])
      ).rows[0]!["part"];
      await run(
        isPart === true
          ? `ALTER TABLE ${String(parent)} DETACH PARTITION ${of}`
          : `ALTER TABLE ${of} NO INHERIT ${String(parent)}`,
      );
      left_out.push({ kind: "parent", name: String(parent), definition: null });
    }
    await dropKeys(run, await ask(KEYS), left_out);
    for (const [kind, sql] of [
      ["trigger", TRIGGERS],
      ["rule", RULES],
      ["policy", POLICIES],
    ] as const)
      for (const { of: on, name, definition } of await ask(sql)) {
        await run(`DROP ${kind.toUpperCase()} ${String(name)} ON ${String(on)}`);
        left_out.push({
          kind,
          name: unquoted(String(name)),
          definition: definition === null ? null : String(definition),
        });
      }
    for (const { name } of await ask(SECURED)) {
      await run(`ALTER TABLE ${String(name)} DISABLE ROW LEVEL SECURITY`);
      await run(`ALTER TABLE ${String(name)} NO FORCE ROW LEVEL SECURITY`);
    }
    await giveNames(run, await ask(NAMED), wish);
    const all = await ask(TABLES);
    const rows = await run(
      `SELECT count(*)::text AS rows FROM ${all[0]!["kind"] === "p" ? "" : "ONLY "}${quoteName(schema, wish.name)}`,
    );
    const statistics: string[] = [];
    for (const { name, definition } of await ask(STATISTICS)) {
      statistics.push(String(definition));
      await run(`DROP STATISTICS ${String(name)}`);
    }
    const distinct = (column: string) => [...new Set(all.map((one) => String(one[column])))];
    const alone: Alone = {
      tables: all.map(({ schema: at, name }) => quoteName(String(at), String(name))),
      rows: Number(rows.rows[0]!["rows"]),
      partitions: all.length - 1,
      owners: distinct("owner"),
      schemas: distinct("schema"),
      statistics,
      left_out,
    };
    await run(`CREATE SCHEMA ${quoteIdent(wish.name)}`);
    await run(`CREATE TABLE ${quoteName(wish.name, "done")} (alone text)`);
    await run(`INSERT INTO ${quoteName(wish.name, "done")} VALUES ($1)`, [JSON.stringify(alone)]);
    return alone;
  });
}

async function doneBefore(session: PgSession, { name }: Wish): Promise<Alone | null> {
  const done = quoteName(name, "done");
  const { rows } = await session.ask("SELECT to_regclass($1) IS NOT NULL AS there", [done]);
  if (rows[0]!["there"] !== true) return null;
  const { rows: kept } = await session.ask(`SELECT alone FROM ${done}`, [], { maxBytes: 1 << 28 });
  return JSON.parse(String(kept[0]!["alone"])) as Alone;
}

async function found(session: PgSession, { schema, table }: Wish): Promise<string> {
  const { rows } = await session.ask(FOUND, [schema, table]);
  const [one] = rows;
  if (one === undefined) {
    const similar = (await session.ask(SIMILAR, [table])).rows.map(({ name }) => String(name));
    throw new PgdbaError(
      "invalid_param",
      `There is no table ${schema}.${table} in ${session.info.database} at that moment`,
      {
        hint: `Names are case-sensitive${similar.length > 0 ? `; there is ${similar.join(", ")}` : ""}. Where it was dropped before, name an earlier moment.`,
      },
    );
  }
  const kind = String(one["kind"]);
  if (kind !== "r" && kind !== "p")
    throw new PgdbaError("invalid_param", `${schema}.${table} is ${KINDS[kind] ?? "no table"}`, {
      hint: "Restore the database beside the one that there is (--in-database without --table), and take it from there.",
    });
  if (one["unlogged"] === true)
    throw new PgdbaError(
      "step_refused",
      `${schema}.${table} is unlogged: no physical backup has its rows`,
      {
        hint: "A logical backup has them: `pgdba backup list`, `pgdba backup load-table --backup-id ID --table NAME`.",
      },
    );
  return String(one["oid"]);
}

async function dropKeys(
  run: Run,
  keys: Record<string, unknown>[],
  left_out: LeftOut[],
): Promise<void> {
  for (const { of, name, definition, own } of keys) {
    await run(`ALTER TABLE ${String(of)} DROP CONSTRAINT ${String(name)}`);
    if (own === true)
      left_out.push({
        kind: "foreign key",
        name: unquoted(String(name)),
        definition: String(definition),
      });
  }
}

/** The table last, for the names of the others may be made from it. */
async function giveNames(
  run: Run,
  named: Record<string, unknown>[],
  { schema, table, name, mark }: Wish,
): Promise<void> {
  const taken = new Set<string>();
  for (const { kind, schema: at, name: old } of named) {
    let fresh = withSuffix(String(old), `_${mark}`);
    for (let n = 2; taken.has(`${String(at)}.${fresh}`); n++)
      fresh = withSuffix(String(old), `_${mark}_${n}`);
    taken.add(`${String(at)}.${fresh}`);
    await run(
      `ALTER ${String(kind)} ${quoteName(String(at), String(old))} RENAME TO ${quoteIdent(fresh)}`,
    );
  }
  if (name !== table)
    await run(`ALTER TABLE ${quoteName(schema, table)} RENAME TO ${quoteIdent(name)}`);
}
