import { quoteIdent, quoteLiteral, quoteName } from "../../../providers/planner/twin/names.ts";
import { besideIndex, besideName, releaseStatements, sameCheck, setCheck } from "./beside.ts";
import type { Detail, Facts, ForeignKey, Index } from "./facts.ts";
import { type Ask, tableName } from "./find.ts";

/** The generator of an identity column, as it stands; its numbers are texts, for they may be larger than a double holds exactly. */
interface Generator {
  schema: string;
  name: string;
  start: string;
  increment: string;
  min: string;
  max: string;
  cache: string;
  cycle: boolean;
  last_value: string;
  is_called: boolean;
  comment: string | null;
}

/** Of those that have one; read once the sequences are locked, for others may draw from them until then. */
export async function generatorsOf(
  ask: Ask,
  details: readonly Detail[],
): Promise<Map<Detail, Generator>> {
  const generators = new Map<Detail, Generator>();
  for (const detail of details) {
    const generator = await generatorOf(ask, detail);
    if (generator !== null) generators.set(detail, generator);
  }
  return generators;
}

async function generatorOf(ask: Ask, { owned }: Detail): Promise<Generator | null> {
  const sequence = owned.find(({ identity }) => identity);
  if (sequence === undefined) return null;
  const name = quoteName(sequence.schema, sequence.name);
  const { rows } = await ask(
    `SELECT s.seqstart::text AS start, s.seqincrement::text AS increment, s.seqmin::text AS min, s.seqmax::text AS max, s.seqcache::text AS cache,
       s.seqcycle AS cycle, v.last_value::text AS last_value, v.is_called, obj_description(s.seqrelid, 'pg_class') AS comment
     FROM pg_sequence s, ${name} v WHERE s.seqrelid = $1::regclass`,
    [name],
  );
  return { ...(rows[0] as unknown as Generator), schema: sequence.schema, name: sequence.name };
}

/**
 * Lets the new columns take the places of the old ones, in one transaction in which all the tables are locked and the sequences are
 * bigint already. No statement of these reads a table: what was read before is proven by validated checks and valid indexes, and the
 * foreign keys, made anew, are validated afterwards.
 */
export function swapStatements(
  { details, indexes, foreignKeys }: Facts,
  generators: ReadonlyMap<Detail, Generator>,
): string[] {
  return [
    ...foreignKeys.map((key) => `${alterOf(key)} DROP CONSTRAINT ${quoteIdent(key.name)}`),
    ...indexes.flatMap(({ table, constraint_name }) =>
      constraint_name === null
        ? []
        : [`ALTER TABLE ${table} DROP CONSTRAINT ${quoteIdent(constraint_name)}`],
    ),
    ...details.flatMap(columnStatements),
    ...indexes.flatMap(indexStatements),
    ...details.flatMap((detail) => sourceStatements(detail, generators.get(detail))),
    ...foreignKeys.flatMap((key) => [
      `${alterOf(key)} ADD CONSTRAINT ${quoteIdent(key.name)} ${key.definition.replace(/ NOT VALID$/, "")} NOT VALID`,
      ...constraintComment(quoteName(key.schema, key.table), key.name, key.comment),
    ]),
  ];
}

function alterOf({ schema, table }: ForeignKey): string {
  return `ALTER TABLE ${quoteName(schema, table)}`;
}

function columnStatements({ column, owned, not_null_name, comment }: Detail): string[] {
  const alter = `ALTER TABLE ${tableName(column)}`;
  const name = quoteIdent(column.name);
  return [
    ...releaseStatements(column),
    `${alter} DROP CONSTRAINT ${sameCheck(column)}`,
    ...owned.map((one) =>
      one.identity
        ? `${alter} ALTER COLUMN ${name} DROP IDENTITY`
        : `ALTER SEQUENCE ${quoteName(one.schema, one.name)} OWNED BY NONE`,
    ),
    `${alter} DROP COLUMN ${name}`,
    `${alter} RENAME COLUMN ${besideName(column)} TO ${name}`,
    ...(column.not_null
      ? [
          // PostgreSQL 18 gives it a name, which would be made of the column's interim one.
          not_null_name === null
            ? `${alter} ALTER COLUMN ${name} SET NOT NULL`
            : `${alter} ADD CONSTRAINT ${quoteIdent(not_null_name)} NOT NULL ${name}`,
          `${alter} DROP CONSTRAINT ${setCheck(column)}`,
        ]
      : []),
    ...(comment === null
      ? []
      : [`COMMENT ON COLUMN ${tableName(column)}.${name} IS ${quoteLiteral(comment)}`]),
  ];
}

function indexStatements(index: Index): string[] {
  const { table, schema, constraint_name, constraint_type, comment } = index;
  const beside = besideIndex(index);
  const name = quoteIdent(index.name);
  return [
    constraint_name === null
      ? `ALTER INDEX ${quoteName(schema, beside)} RENAME TO ${name}`
      : `ALTER TABLE ${table} ADD CONSTRAINT ${quoteIdent(constraint_name)} ${constraint_type === "p" ? "PRIMARY KEY" : "UNIQUE"} USING INDEX ${beside}`,
    ...(comment === null
      ? []
      : [`COMMENT ON INDEX ${quoteName(schema, index.name)} IS ${quoteLiteral(comment)}`]),
    ...(constraint_name === null
      ? []
      : constraintComment(table, constraint_name, index.constraint_comment)),
    ...(index.clustered ? [`ALTER TABLE ${table} CLUSTER ON ${name}`] : []),
    ...(index.replica_identity
      ? [`ALTER TABLE ${table} REPLICA IDENTITY USING INDEX ${name}`]
      : []),
  ];
}

/** Where the values come from: the default, the identity, the sequence that goes with the column. */
function sourceStatements({ column, owned }: Detail, generator: Generator | undefined): string[] {
  const name = quoteIdent(column.name);
  const alter = `ALTER TABLE ${tableName(column)} ALTER COLUMN ${name}`;
  return [
    ...(column.default_expr === null ? [] : [`${alter} SET DEFAULT ${column.default_expr}`]),
    ...owned
      .filter(({ identity }) => !identity)
      .map(
        (one) =>
          `ALTER SEQUENCE ${quoteName(one.schema, one.name)} OWNED BY ${tableName(column)}.${name}`,
      ),
    ...(generator === undefined ? [] : identityStatements(alter, column.identity, generator)),
  ];
}

function identityStatements(alter: string, identity: string, from: Generator): string[] {
  const sequence = quoteName(from.schema, from.name);
  return [
    `${alter} ADD GENERATED ${identity === "a" ? "ALWAYS" : "BY DEFAULT"} AS IDENTITY (SEQUENCE NAME ${sequence} START WITH ${from.start} ` +
      `INCREMENT BY ${from.increment} MINVALUE ${from.min} MAXVALUE ${from.max} CACHE ${from.cache} ${from.cycle ? "CYCLE" : "NO CYCLE"})`,
    `SELECT setval(${quoteLiteral(sequence)}::regclass, ${from.last_value}, ${from.is_called})`,
    ...(from.comment === null
      ? []
      : [`COMMENT ON SEQUENCE ${sequence} IS ${quoteLiteral(from.comment)}`]),
  ];
}

function constraintComment(table: string, name: string, comment: string | null): string[] {
  return comment === null
    ? []
    : [`COMMENT ON CONSTRAINT ${quoteIdent(name)} ON ${table} IS ${quoteLiteral(comment)}`];
}
