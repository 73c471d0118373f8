import type { ColumnRef, Node, RangeVar, SubLink } from "libpg-query";
import { PgdbaError } from "../../../engine/errors.ts";
import type { TableName } from "../../../providers/planner/twin/twin.ts";

/** Statements that have a plan. */
const PLANNED = ["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"] as const;

/**
 * The parse tree of one statement by PostgreSQL's own grammar, or null when it has no plan.
 * @throws PgdbaError query_failed for what the grammar refuses, or more than one statement
 */
export async function parseStatement(sql: string): Promise<Node | null> {
  const { hasSqlDetails, parse } = await import("libpg-query");
  let statements;
  try {
    statements = (await parse(sql)).stmts ?? [];
  } catch (cause) {
    const at = hasSqlDetails(cause) ? cause.sqlDetails?.cursorPosition : undefined;
    throw new PgdbaError("query_failed", (cause as Error).message, {
      hint: "Correct the statement.",
      cause,
      data: at === undefined ? undefined : { position: String(at + 1) },
    });
  }
  const [first] = statements;
  if (statements.length !== 1 || first?.stmt === undefined) {
    throw new PgdbaError("query_failed", `Expected one statement, got ${statements.length}`, {
      hint: "Give statements one by one.",
    });
  }
  return PLANNED.some((kind) => kind in first.stmt!) ? first.stmt : null;
}

/** Calls `visit` for every node below and including `node`, outermost first; not below one for which it gives false. */
function walk(node: unknown, visit: (kind: string, value: object) => boolean | void): void {
  if (Array.isArray(node)) {
    for (const item of node) walk(item, visit);
    return;
  }
  if (typeof node !== "object" || node === null) return;
  for (const [name, value] of Object.entries(node)) {
    if (typeof value !== "object" || value === null) continue;
    // A node is wrapped in an object named after its kind; fields begin with a small letter.
    if (/^[A-Z]/.test(name) && visit(name, value) === false) continue;
    walk(value, visit);
  }
}

const SYSTEM = new Set(["pg_catalog", "information_schema"]);

/** True when a statement names tables of the system with their schema. */
export function namesSystem(statement: Node): boolean {
  let found = false;
  walk(statement, (kind, value) => {
    if (kind === "RangeVar") found ||= SYSTEM.has((value as RangeVar).schemaname ?? "");
  });
  return found;
}

/** The tables that a statement names, its WITH queries left out, and the system's own where they are named with their schema. */
export function tablesOf(statement: Node): TableName[] {
  const found = new Map<string, TableName>();
  const names = new Set<string>();
  const note = (table: RangeVar | undefined): void => {
    if (table?.relname === undefined) return;
    const name = { schema: table.schemaname ?? null, name: table.relname };
    found.set(JSON.stringify(name), name);
  };
  walk(statement, (kind, value) => {
    if (kind === "RangeVar") note(value as RangeVar);
    if (kind === "CommonTableExpr") names.add((value as { ctename?: string }).ctename ?? "");
    // The changed table of a statement is a field, not a wrapped node.
    if ("relation" in value) note((value as { relation?: RangeVar }).relation);
  });
  return [...found.values()].filter(
    (table) => (table.schema !== null || !names.has(table.name)) && !SYSTEM.has(table.schema ?? ""),
  );
}

/** Column references and sub-selects in an expression; what is inside of a sub-select is left to it. */
export function partsOf(node: unknown): { columns: ColumnRef[]; links: SubLink[] } {
  const columns: ColumnRef[] = [];
  const links: SubLink[] = [];
  walk(node, (kind, value) => {
    if (kind === "ColumnRef") columns.push(value as ColumnRef);
    if (kind !== "SubLink") return true;
    links.push(value as SubLink);
    columns.push(...partsOf((value as SubLink).testexpr).columns);
    return false;
  });
  return { columns, links };
}

/** True when an expression holds `$1` or the like, sub-selects not counted. */
export function hasParameter(node: unknown): boolean {
  let found = false;
  walk(node, (kind) => {
    if (kind === "ParamRef") found = true;
    return kind !== "SubLink" && !found;
  });
  return found;
}

/** A table that a statement writes to. */
export interface Written {
  schema: string | null;
  name: string;
  kind: "insert" | "update";
  /** Columns that an update sets. */
  set: string[];
  /** False in a WITH query. */
  outermost: boolean;
}

/** The tables that a statement inserts into or updates, its WITH queries included; MERGE and ON CONFLICT may do both. */
export function writtenIn(statement: Node): Written[] {
  const found: Written[] = [];
  let first = true;
  walk(statement, (kind, value) => {
    const outermost = first;
    first = false;
    const { relation, targetList, onConflictClause, mergeWhenClauses } = value as Writing;
    if (relation?.relname === undefined) return;
    const table = { schema: relation.schemaname ?? null, name: relation.relname, outermost };
    const add = (as: Written["kind"], set: readonly Target[] = []): void =>
      void found.push({ ...table, kind: as, set: set.flatMap((one) => one.ResTarget?.name ?? []) });
    if (kind === "InsertStmt") add("insert");
    if (kind === "InsertStmt" && onConflictClause?.targetList !== undefined)
      add("update", onConflictClause.targetList);
    if (kind === "UpdateStmt") add("update", targetList);
    if (kind === "MergeStmt")
      for (const { MergeWhenClause: when } of mergeWhenClauses ?? []) {
        if (when?.commandType === "CMD_INSERT") add("insert");
        if (when?.commandType === "CMD_UPDATE") add("update", when.targetList);
      }
  });
  return found;
}

type Target = { ResTarget?: { name?: string } };

interface Writing {
  relation?: RangeVar;
  targetList?: Target[];
  onConflictClause?: { targetList?: Target[] };
  mergeWhenClauses?: { MergeWhenClause?: { commandType?: string; targetList?: Target[] } }[];
}
