import { type Catalogue, type IndexDef, indexSql } from "../../../providers/planner/twin/twin.ts";

/** PostgreSQL's NAMEDATALEN less the closing NUL. */
const MAX_NAME = 63;
/** libpg_query's KeywordKind: 0 is no keyword, 1 one that may be any name. */
const UNRESERVED = 1;

/** Takes the quotes from names that do not need them. */
export async function plain(sql: string): Promise<string> {
  const { scan } = await import("libpg-query");
  const { tokens } = await scan(sql);
  const bytes = Buffer.from(sql);
  let text = "";
  let at = 0;
  for (const { start, end, tokenName } of tokens) {
    const written = bytes.subarray(start, end).toString();
    const name = /^"([a-z_][a-z0-9_]*)"$/.exec(written)?.[1];
    text += bytes.subarray(at, start).toString();
    text +=
      name !== undefined && tokenName === "IDENT" && !(await isReserved(name)) ? name : written;
    at = end;
  }
  return text + bytes.subarray(at).toString();
}

async function isReserved(name: string): Promise<boolean> {
  const { scan } = await import("libpg-query");
  return ((await scan(name)).tokens[0]?.keywordKind ?? 0) > UNRESERVED;
}

/** A name for an index as PostgreSQL would choose it, that no relation of the schema has. */
export function indexName(def: IndexDef, taken: ReadonlySet<string>): string {
  const keys = def.keys.map((key) => key.column ?? "expr").join("_");
  const base = `${def.table}_${keys}`;
  for (let n = 0; ; n++) {
    const suffix = `${def.where === null ? "" : "_part"}_idx${n === 0 ? "" : n}`;
    const name = shortened(base, MAX_NAME - suffix.length) + suffix;
    if (!taken.has(`${def.schema}.${name}`)) return name;
  }
}

/** At most so many bytes, without half a character at the end. */
function shortened(name: string, bytes: number): string {
  let text = name;
  while (Buffer.byteLength(text) > bytes) text = text.slice(0, -1);
  return text;
}

/**
 * The statements that build an index while others write. A partitioned table takes no CONCURRENTLY: its partitions get theirs one by
 * one, and the parent's is valid when all are attached.
 */
export async function buildStatements(
  def: IndexDef,
  name: string,
  catalogue: Catalogue,
): Promise<string[]> {
  const table = catalogue.relations.find(
    (relation) => relation.schema === def.schema && relation.name === def.table,
  );
  if (table?.kind !== "p")
    return [await plain(`CREATE INDEX CONCURRENTLY "${doubled(name)}" ${indexSql(def)}`)];
  const statements = [
    await plain(`CREATE INDEX "${doubled(name)}" ${indexSql(def).replace("ON ", "ON ONLY ")}`),
  ];
  for (const child of catalogue.relations.filter((relation) =>
    relation.parents.includes(table.oid),
  )) {
    const part = { ...def, schema: child.schema, table: child.name };
    const own = ownIndex(part, child.oid, catalogue);
    const partName =
      own ??
      indexName(part, new Set(catalogue.indexes.map((index) => `${index.schema}.${index.name}`)));
    if (own === null) statements.push(...(await buildStatements(part, partName, catalogue)));
    statements.push(
      await plain(
        `ALTER INDEX "${doubled(def.schema)}"."${doubled(name)}" ATTACH PARTITION "${doubled(child.schema)}"."${doubled(partName)}"`,
      ),
    );
  }
  return statements;
}

/** A partition's own index that equals its part of the new one; null also when that is not known. */
function ownIndex(def: IndexDef, relid: number, catalogue: Catalogue): string | null {
  if (def.where !== null || def.keys.some((key) => key.column === null || key.suffix !== undefined))
    return null;
  const numbers = new Map(
    catalogue.columns
      .filter((column) => column.relid === relid)
      .map((column) => [column.name, column.num]),
  );
  const wanted = [...def.keys.map((key) => key.column ?? ""), ...def.include].map((name) =>
    numbers.get(name),
  );
  const found = catalogue.indexes.find(
    (index) =>
      index.relid === relid &&
      index.valid &&
      index.plain &&
      index.parent === 0 &&
      index.method === def.method &&
      index.predicate === null &&
      index.expressions === null &&
      index.key_columns === def.keys.length &&
      index.columns.length === wanted.length &&
      index.columns.every((num, at) => num === wanted[at]),
  );
  return found?.name ?? null;
}

function doubled(name: string): string {
  return name.replaceAll('"', '""');
}
