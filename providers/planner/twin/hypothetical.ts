import type { Client } from "pg";
import type { OrdinaryUser } from "../../nodes/embedded/user.ts";
import type { Catalogue, Relation } from "./catalogue.ts";
import { one } from "./database.ts";
import { quoteName } from "./names.ts";
import { type PlanNode, planOf } from "./plan.ts";
import { indexPages, leavesOf, rowsOf } from "./index-size.ts";
import { separatorWidth } from "./separators.ts";
import { btreeHeight, growFile, PAGE, setFirstSegment, writeBtree } from "./sizes.ts";
import type { Figures, FiguresWriter } from "./statistics.ts";
import { indexSql, type IndexKey, type IndexDef } from "./index-def.ts";

/** A hypothetical index that stands in the twin, valid or not. */
export interface Hypothetical {
  /** Its own name. */
  name: string;
  /** Its name in plans, and those of its parts on the partitions. */
  names: string[];
  /** The index and, on a partitioned table, those of its partitions. */
  oids: number[];
  bytes: number;
  tuples: number;
  /** Types of its columns, in their order: what an expression gives is known by now. */
  types: string[];
  /** The server has such an index already. */
  duplicate: boolean;
}

/** The parts of the twin that making an index needs. */
export interface Workshop {
  client: Client;
  /** Tells the server what relations' sizes are. */
  figures: FiguresWriter;
  user: OrdinaryUser | null;
  catalogue: Catalogue;
  /** The file of each stored table by `schema.name`, and its pages. */
  files: ReadonlyMap<string, { path: string; pages: number }>;
  pathOf(relative: string): string;
  /** A name that no index of the twin has. */
  newName(): string;
}

/**
 * Makes indexes without reading a row: the files of their tables look empty while the server builds them, and get back their sizes
 * when it has. Their own files are made as large as the indexes would be. About 2 ms an index of one table.
 * @returns for each the index, or the server's error when the definition is not valid
 */
export async function makeIndexes(
  shop: Workshop,
  defs: readonly IndexDef[],
): Promise<(Hypothetical | Error)[]> {
  const plans: (Build | Error)[] = [];
  for (const def of defs) plans.push(await planIndex(shop, def));
  const sound = plans.filter((plan): plan is Build => !(plan instanceof Error));
  const failed = await build(shop, sound);
  const made = sound.filter((plan) => !failed.has(plan));
  const parts = await partsOf(shop, made);
  const figures: Figures[] = [];
  const done = new Map<Build, Hypothetical>();
  for (const plan of made) {
    const index: Hypothetical = {
      name: plan.name,
      types: parts.get(plan)?.[0]?.types ?? [],
      names: [],
      oids: [],
      bytes: 0,
      tuples: 0,
      duplicate: false,
    };
    for (const part of parts.get(plan) ?? []) {
      index.names.push(part.name);
      index.oids.push(part.oid);
      index.duplicate ||= part.duplicate;
      const leaf = plan.leaves.find(({ schema, name }) => `${schema}.${name}` === part.table);
      if (part.path === null || leaf === undefined) continue;
      const tuples = rowsOf(shop.catalogue, leaf) * plan.share;
      const pages = indexPages(shop.catalogue, leaf, {
        def: plan.def,
        tuples,
        types: part.types,
        expressionWidth: plan.expressionWidth,
      });
      const path = shop.pathOf(part.path);
      if (plan.def.method === "btree" && pages > 1) {
        const keys = plan.def.keys.map((key) => key.column);
        const width = separatorWidth(shop.catalogue, leaf, keys, pages);
        await writeBtree(path, Math.min(pages - 2, btreeHeight(pages, width)));
      }
      await growFile(path, pages, shop.user);
      figures.push({
        schema: part.schema,
        name: part.name,
        relpages: pages,
        reltuples: tuples,
        relallvisible: 0,
      });
      index.bytes += pages * PAGE;
      index.tuples += tuples;
    }
    done.set(plan, index);
  }
  // A server before 18 has taken the tables for empty.
  const tables = new Set(shop.figures.lost ? made.flatMap((plan) => plan.leaves) : []);
  for (const { schema, name, relpages, reltuples, relallvisible } of tables)
    figures.push({ schema, name, relpages, reltuples, relallvisible });
  await shop.figures.write(figures);
  return plans.map((plan) =>
    plan instanceof Error ? plan : (done.get(plan) ?? failed.get(plan) ?? new Error("not made")),
  );
}

/** An index about to be made. */
interface Build {
  def: IndexDef;
  name: string;
  leaves: Relation[];
  /** The share of its tables' rows that it holds. */
  share: number;
  /** The width of the expression as the planner estimates it; null without an expression. */
  expressionWidth: number | null;
}

async function planIndex(shop: Workshop, def: IndexDef): Promise<Build | Error> {
  const { client, catalogue } = shop;
  const table = catalogue.relations.find(
    (relation) => relation.schema === def.schema && relation.name === def.table,
  );
  const leaves = table === undefined ? [] : leavesOf(catalogue, table);
  const expressions = def.keys.filter(({ column }) => column === null);
  try {
    const share = def.where === null ? 1 : await shareOf(client, def);
    const width = expressions.length === 0 ? null : await widthOf(client, def, expressions);
    return { def, name: shop.newName(), leaves, share, expressionWidth: width };
  } catch (error) {
    return error as Error;
  }
}

/** Has the server build them on tables that look empty. Gives the errors of those that it refused. */
async function build(shop: Workshop, plans: readonly Build[]): Promise<Map<Build, Error>> {
  const failed = new Map<Build, Error>();
  const files = new Map(
    plans
      .flatMap((plan) => plan.leaves)
      .flatMap((leaf) => shop.files.get(`${leaf.schema}.${leaf.name}`) ?? [])
      .map((file) => [file.path, file]),
  );
  for (const file of files.values()) await setFirstSegment(file.path, 0);
  try {
    for (const plan of plans)
      await one(shop.client, `CREATE INDEX ${plan.name} ${indexSql(plan.def)}`).catch(
        (error: Error) => failed.set(plan, error),
      );
  } finally {
    for (const file of files.values()) await setFirstSegment(file.path, file.pages);
  }
  return failed;
}

interface Part {
  oid: number;
  schema: string;
  name: string;
  path: string | null;
  table: string;
  /** The types of its columns, in their order. */
  types: string[];
  /** Another index of the table is the same but for its name. */
  duplicate: boolean;
}

/** Each index with those of its partitions. */
async function partsOf(
  { client, catalogue }: Workshop,
  made: readonly Build[],
): Promise<Map<Build, Part[]>> {
  const existing = new Set(
    catalogue.indexes.filter(({ valid }) => valid).map(({ schema, name }) => `${schema}.${name}`),
  );
  const { rows } = await client.query<Part & { nth: number }>(
    `SELECT x.nth::int AS nth, c.oid, n.nspname AS schema, c.relname AS name, pg_relation_filepath(c.oid) AS path,
       format('%s.%s', tn.nspname, t.relname) AS "table",
       ARRAY(SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum) AS types,
       EXISTS (SELECT FROM pg_index e JOIN pg_class ec ON ec.oid = e.indexrelid WHERE e.indrelid = i.indrelid AND e.indexrelid <> i.indexrelid
         AND ec.relam = c.relam AND format('%s.%s', n.nspname, ec.relname) = ANY ($3::text[]) AND e.indnkeyatts = i.indnkeyatts
         AND (e.indkey::text, e.indclass::text, e.indcollation::text, e.indoption::text) = (i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text)
         AND pg_get_expr(e.indexprs, e.indrelid) IS NOT DISTINCT FROM pg_get_expr(i.indexprs, i.indrelid)
         AND pg_get_expr(e.indpred, e.indrelid) IS NOT DISTINCT FROM pg_get_expr(i.indpred, i.indrelid)) AS duplicate
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS x(schema, name, nth)
     CROSS JOIN LATERAL (SELECT format('%I.%I', x.schema, x.name)::regclass AS oid) r
     CROSS JOIN LATERAL (SELECT r.oid UNION SELECT relid FROM pg_partition_tree(r.oid)) p(oid)
     JOIN pg_class c ON c.oid = p.oid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace`,
    [made.map((plan) => plan.def.schema), made.map((plan) => plan.name), [...existing]],
  );
  // An equal index that a partition has already becomes a part of the new one; it is really there.
  const own = rows.filter(({ schema, name }) => !existing.has(`${schema}.${name}`));
  const parts = Map.groupBy(own, ({ nth }) => nth);
  return new Map(made.map((plan, at) => [plan, parts.get(at + 1) ?? []]));
}

/** The share of a table's rows that the predicate of an index keeps, as the planner estimates it. */
async function shareOf(client: Client, def: IndexDef): Promise<number> {
  const from = quoteName(def.schema, def.table);
  const kept = await explained(client, `SELECT FROM ${from} WHERE ${def.where}`);
  const all = await explained(client, `SELECT FROM ${from}`);
  return Math.min(1, kept["Plan Rows"] / Math.max(1, all["Plan Rows"]));
}

/** The width of expressions of a table together, as the planner estimates it. */
async function widthOf(
  client: Client,
  def: IndexDef,
  expressions: readonly IndexKey[],
): Promise<number> {
  const list = expressions.map((key) => key.sql).join(", ");
  return (await explained(client, `SELECT ${list} FROM ${quoteName(def.schema, def.table)}`))[
    "Plan Width"
  ];
}

async function explained(client: Client, sql: string): Promise<PlanNode> {
  return planOf((await one(client, `EXPLAIN (FORMAT JSON) ${sql}`)).rows);
}
