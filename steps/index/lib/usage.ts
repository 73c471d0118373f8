import type {
  A_Expr,
  ColumnRef,
  JoinExpr,
  Node,
  RangeVar,
  SelectStmt,
  SortBy,
  WithClause,
} from "libpg-query";
import { quoteIdent } from "../../../providers/twin/names.ts";
import type { Catalogue, IndexKey } from "../../../providers/twin/twin.ts";
import { deparse, textOf } from "./deparse.ts";
import { parseStatement, partsOf } from "./tree.ts";

type Relation = Catalogue["relations"][number];

/** How one mention of a table in a statement is used: what an index on it could serve. */
export interface TableUse {
  table: Relation;
  equal: IndexKey[];
  ranges: IndexKey[];
  /** ORDER BY of this table alone. */
  order: IndexKey[];
  group: IndexKey[];
  /** Keys of one branch of an OR. */
  branches: IndexKey[];
  /** Keys for another access method, by what the operator asks for. */
  inverted: { key: IndexKey; method: "gin" | "gist" }[];
  /** Conditions without parameters, for partial indexes; `constant`: equality of the column with a value. */
  predicates: { sql: string; column: string; constant: boolean }[];
  /** Columns that the statement needs of the table. */
  columns: Set<string>;
  /** True for `*`. */
  all: boolean;
}

/** A column of a table, as a query's own name for it leads there. */
interface Found {
  use: TableUse;
  name: string;
}

/** What a query gives out, where that is a column as it stands: a condition on it can be pushed down to the table. */
type Outputs = ReadonlyMap<string, Found>;

interface Source {
  alias: string;
  /** Null for a sub-select, a function, a WITH query or a view. */
  use: TableUse | null;
  outputs?: Outputs;
}

const NOTHING: Outputs = new Map();

interface Scope {
  sources: Source[];
  outer: Scope | null;
}

/** Finds how a statement uses its tables. Names are resolved as PostgreSQL does, by alias and search path. */
export async function usesOf(statement: Node, catalogue: Catalogue): Promise<TableUse[]> {
  const reader = new Reader(catalogue);
  await reader.statement(statement, null);
  return reader.uses;
}

/** Comparison operators a B-tree serves by a range. */
const RANGE = new Set(["<", ">", "<=", ">="]);
/** The operator's other self when its sides are exchanged. */
const INVERTED = new Set(["@>", "<@", "&&", "?", "?|", "?&", "@@", "@?"]);

class Reader {
  readonly uses: TableUse[] = [];
  readonly #catalogue: Catalogue;
  readonly #path: string[];
  readonly #trigrams: boolean;
  #with = new Map<string, Outputs>();

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
    this.#path = [...catalogue.search_path.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)].map((match) =>
      (match[1]?.replaceAll('""', '"') ?? match[2] ?? "").replace("$user", catalogue.user),
    );
    this.#trigrams = catalogue.extensions.some((extension) => extension.name === "pg_trgm");
  }

  async statement(node: Node, outer: Scope | null): Promise<Outputs> {
    if ("SelectStmt" in node) return this.#select(node.SelectStmt, outer);
    if ("InsertStmt" in node) {
      await this.#withQueries(node.InsertStmt.withClause, outer);
      return node.InsertStmt.selectStmt === undefined
        ? NOTHING
        : this.statement(node.InsertStmt.selectStmt, outer);
    }
    if ("UpdateStmt" in node) {
      const {
        relation,
        fromClause = [],
        whereClause,
        withClause,
        targetList,
        returningClause,
      } = node.UpdateStmt;
      return this.#block(
        {
          from: [range(relation), ...fromClause],
          where: whereClause,
          rest: [targetList, returningClause],
          withClause,
        },
        outer,
      );
    }
    if ("DeleteStmt" in node) {
      const {
        relation,
        usingClause = [],
        whereClause,
        withClause,
        returningClause,
      } = node.DeleteStmt;
      return this.#block(
        {
          from: [range(relation), ...usingClause],
          where: whereClause,
          rest: [returningClause],
          withClause,
        },
        outer,
      );
    }
    if ("MergeStmt" in node) {
      const { relation, sourceRelation, joinCondition, withClause, mergeWhenClauses } =
        node.MergeStmt;
      const from = [range(relation), ...(sourceRelation === undefined ? [] : [sourceRelation])];
      return this.#block(
        { from, where: joinCondition, rest: [mergeWhenClauses], withClause },
        outer,
      );
    }
    return NOTHING;
  }

  /** `member`: its rows are looked for by the value of the first column, as in `x IN (SELECT ...)`. */
  async #select(select: SelectStmt, outer: Scope | null, member = false): Promise<Outputs> {
    if (select.larg !== undefined && select.rarg !== undefined) {
      await this.#withQueries(select.withClause, outer);
      await this.#select(select.larg, outer);
      await this.#select(select.rarg, outer);
      return NOTHING;
    }
    const {
      fromClause = [],
      whereClause,
      withClause,
      targetList = [],
      havingClause,
      windowClause,
      valuesLists,
    } = select;
    const sort = (select.sortClause ?? []).flatMap((item) =>
      "SortBy" in item ? [item.SortBy] : [],
    );
    const group = [
      ...(select.groupClause ?? []),
      ...(select.distinctClause ?? []).filter((item) => Object.keys(item).length > 0),
    ];
    const rest = [
      targetList,
      havingClause,
      windowClause,
      valuesLists,
      group,
      sort.map((item) => item.node),
    ];
    return this.#block(
      {
        from: fromClause,
        where: whereClause,
        rest,
        withClause,
        sort,
        group,
        targets: targetList,
        member,
      },
      outer,
    );
  }

  async #withQueries(clause: WithClause | undefined, outer: Scope | null): Promise<void> {
    for (const node of clause?.ctes ?? []) {
      if (!("CommonTableExpr" in node) || node.CommonTableExpr.ctequery === undefined) continue;
      const { ctename = "", ctequery } = node.CommonTableExpr;
      if (clause?.recursive === true) this.#with.set(ctename, NOTHING);
      this.#with.set(ctename, await this.statement(ctequery, outer));
    }
  }

  async #block(
    block: {
      from: readonly Node[];
      where: Node | undefined;
      rest: readonly unknown[];
      withClause?: WithClause | undefined;
      sort?: readonly SortBy[];
      group?: readonly Node[];
      targets?: readonly Node[];
      member?: boolean;
    },
    outer: Scope | null,
  ): Promise<Outputs> {
    const names = this.#with;
    this.#with = new Map(names);
    await this.#withQueries(block.withClause, outer);
    const scope: Scope = { sources: [], outer };
    const conditions: Node[] = block.where === undefined ? [] : [block.where];
    for (const item of block.from) await this.#from(item, scope, conditions);
    for (const condition of conditions) await this.#condition(condition, scope, false);
    for (const part of block.rest) await this.#expression(part, scope);
    this.#sorted(block.sort ?? [], block.targets ?? [], scope);
    const [first] = block.targets ?? [];
    if (block.member === true && first !== undefined && "ResTarget" in first)
      this.#equal(this.#key(first.ResTarget.val, scope), false);
    const grouped = (block.group ?? []).map((node) => this.#key(node, scope));
    for (const found of grouped)
      if (found !== null && grouped.every((other) => other === null || other.use === found.use))
        add(found.use.group, found.key);
    this.#with = names;
    return this.#outputs(block.targets ?? [], scope);
  }

  #outputs(targets: readonly Node[], scope: Scope): Outputs {
    const outputs = new Map<string, Found>();
    for (const target of targets) {
      if (!("ResTarget" in target)) continue;
      const { name, val } = target.ResTarget;
      if (val === undefined || !("ColumnRef" in val)) continue;
      const last = val.ColumnRef.fields?.at(-1);
      const found = this.#resolve(val.ColumnRef, scope);
      if (found !== null) outputs.set(name ?? found.name, found);
      else if (last !== undefined && "A_Star" in last)
        for (const source of scope.sources)
          for (const [column, of] of this.#columnsOf(source)) outputs.set(column, of);
    }
    return outputs;
  }

  #columnsOf({ use, outputs }: Source): Outputs {
    if (use === null) return outputs ?? NOTHING;
    const columns = this.#catalogue.columns.filter((column) => column.relid === use.table.oid);
    return new Map(columns.map((column) => [column.name, { use, name: column.name }]));
  }

  async #from(node: Node, scope: Scope, conditions: Node[]): Promise<void> {
    if ("RangeVar" in node) return this.#table(node.RangeVar, scope);
    if ("JoinExpr" in node) return this.#join(node.JoinExpr, scope, conditions);
    if ("RangeSubselect" in node) {
      const { subquery, alias, lateral } = node.RangeSubselect;
      const outputs =
        subquery === undefined
          ? NOTHING
          : await this.statement(subquery, lateral === true ? scope : scope.outer);
      scope.sources.push({ alias: alias?.aliasname ?? "", use: null, outputs });
      return;
    }
    await this.#expression(node, scope);
    scope.sources.push({ alias: "", use: null });
  }

  async #table(range: RangeVar, scope: Scope): Promise<void> {
    const alias = range.alias?.aliasname ?? range.relname ?? "";
    const query = range.schemaname === undefined ? this.#with.get(range.relname ?? "") : undefined;
    const table = query === undefined ? this.#find(range) : undefined;
    if (table === undefined || table.kind === "v" || table.kind === "f") {
      scope.sources.push({
        alias,
        use: null,
        outputs: query ?? (table?.kind === "v" ? await this.#view(table) : NOTHING),
      });
      return;
    }
    const use: TableUse = {
      table,
      equal: [],
      ranges: [],
      order: [],
      group: [],
      branches: [],
      inverted: [],
      predicates: [],
      columns: new Set(),
      all: false,
    };
    this.uses.push(use);
    scope.sources.push({ alias, use });
  }

  async #view(view: Relation): Promise<Outputs> {
    const statement = view.view === null ? null : await parseStatement(view.view);
    return statement === null ? NOTHING : this.statement(statement, null);
  }

  #find(range: RangeVar): Relation | undefined {
    const schemas = range.schemaname === undefined ? this.#path : [range.schemaname];
    for (const schema of schemas) {
      const found = this.#catalogue.relations.find(
        (relation) => relation.schema === schema && relation.name === range.relname,
      );
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #join(join: JoinExpr, scope: Scope, conditions: Node[]): Promise<void> {
    for (const side of [join.larg, join.rarg])
      if (side !== undefined) await this.#from(side, scope, conditions);
    if (join.quals !== undefined) conditions.push(join.quals);
    for (const name of (join.usingClause ?? []).map(textOf)) {
      for (const { use } of scope.sources) {
        if (use === null || !this.#has(use, name)) continue;
        use.columns.add(name);
        add(use.equal, columnKey(name));
      }
    }
  }

  /** Notes the columns that an expression needs, and reads its sub-selects. */
  async #expression(node: unknown, scope: Scope): Promise<void> {
    const { columns, links } = partsOf(node);
    for (const column of columns) this.#needs(column, scope);
    for (const { subselect, subLinkType } of links) {
      if (subselect === undefined) continue;
      if (subLinkType === "ANY_SUBLINK" && "SelectStmt" in subselect)
        await this.#select(subselect.SelectStmt, scope, true);
      else await this.statement(subselect, scope);
    }
  }

  #needs(column: ColumnRef, scope: Scope): void {
    const last = column.fields?.at(-1);
    if (last !== undefined && "A_Star" in last) {
      const of = (column.fields?.length ?? 0) > 1 ? textOf(column.fields?.at(-2)) : null;
      for (const { alias, use } of scope.sources)
        if (use !== null && (of === null || of === alias)) use.all = true;
      return;
    }
    const found = this.#resolve(column, scope);
    found?.use.columns.add(found.name);
    // A table's name alone is its whole row.
    const whole =
      column.fields?.length === 1
        ? scope.sources.find((source) => source.alias === textOf(last))
        : undefined;
    if (found === null && whole?.use) whole.use.all = true;
  }

  #resolve(column: ColumnRef, scope: Scope | null): Found | null {
    const fields = (column.fields ?? []).map(textOf);
    const name = fields.at(-1) ?? "";
    for (let at = scope; at !== null; at = at.outer) {
      for (const { alias, use, outputs } of at.sources) {
        if (fields.length > 1 && fields.at(-2) !== alias) continue;
        const found = outputs?.get(name);
        if (found !== undefined) return found;
        if (use === null && fields.length > 1) return null;
        if (use !== null && this.#has(use, name)) return { use, name };
      }
    }
    return null;
  }

  #has(use: TableUse, name: string): boolean {
    return this.#catalogue.columns.some(
      (column) => column.relid === use.table.oid && column.name === name,
    );
  }

  /** The key that an index would need for an expression: a column, or an expression on the columns of one table. */
  #key(node: Node | undefined, scope: Scope): { use: TableUse; key: IndexKey } | null {
    if (node === undefined) return null;
    const { columns, links } = partsOf(node);
    const found = columns.map((column) => this.#resolve(column, scope));
    const [first] = found;
    if (
      first === undefined ||
      first === null ||
      links.length > 0 ||
      found.some((other) => other?.use !== first.use)
    )
      return null;
    if ("ColumnRef" in node) return { use: first.use, key: columnKey(first.name) };
    const sql = deparse(node);
    // The grammar takes a call as it is; any other expression needs parentheses.
    return sql === null
      ? null
      : { use: first.use, key: { column: null, sql: "FuncCall" in node ? sql : `(${sql})` } };
  }

  async #condition(node: Node, scope: Scope, branch: boolean): Promise<void> {
    if ("BoolExpr" in node && node.BoolExpr.boolop !== "NOT_EXPR") {
      for (const arg of node.BoolExpr.args ?? [])
        await this.#condition(arg, scope, branch || node.BoolExpr.boolop === "OR_EXPR");
      return;
    }
    await this.#expression(node, scope);
    if ("A_Expr" in node) this.#comparison(node.A_Expr, scope, branch);
    else if ("SubLink" in node && node.SubLink.subLinkType === "ANY_SUBLINK")
      this.#equal(this.#key(node.SubLink.testexpr, scope), branch);
    else if ("NullTest" in node && node.NullTest.nulltesttype !== "IS_NOT_NULL")
      this.#equal(this.#key(node.NullTest.arg, scope), branch);
    if (!branch) this.#predicate(node, scope);
  }

  #equal(found: { use: TableUse; key: IndexKey } | null, branch: boolean): void {
    if (found !== null) add(branch ? found.use.branches : found.use.equal, found.key);
  }

  #comparison(node: A_Expr, scope: Scope, branch: boolean): void {
    const operator = textOf(node.name?.at(-1));
    const left = this.#key(node.lexpr, scope);
    const right = this.#key(node.rexpr, scope);
    if (left !== null && left.use === right?.use) return;
    const sides = [left, right].filter((side) => side !== null);
    if (node.kind === "AEXPR_IN" || node.kind === "AEXPR_OP_ANY") {
      if (operator === "=") this.#equal(left, branch);
    } else if (node.kind === "AEXPR_BETWEEN") {
      if (left !== null) add(branch ? left.use.branches : left.use.ranges, left.key);
    } else if (
      node.kind === "AEXPR_LIKE" ||
      node.kind === "AEXPR_ILIKE" ||
      (node.kind === "AEXPR_OP" && /^!?~\*?$/.test(operator))
    ) {
      if (left !== null && !operator.startsWith("!")) this.#pattern(left, node, branch);
    } else if (node.kind === "AEXPR_OP") {
      for (const side of sides) {
        if (operator === "=") this.#equal(side, branch);
        else if (RANGE.has(operator)) add(branch ? side.use.branches : side.use.ranges, side.key);
        else if (INVERTED.has(operator)) this.#inverted(side, operator);
      }
    }
  }

  /** LIKE with a fixed beginning is a range of a B-tree by bytes; anything else of the kind is for trigrams. */
  #pattern({ use, key }: { use: TableUse; key: IndexKey }, node: A_Expr, branch: boolean): void {
    const pattern =
      node.rexpr !== undefined && "A_Const" in node.rexpr
        ? node.rexpr.A_Const.sval?.sval
        : undefined;
    const prefix = node.kind === "AEXPR_LIKE" && (pattern === undefined || !/^[%_]/.test(pattern));
    if (prefix) add(branch ? use.branches : use.ranges, { ...key, suffix: "text_pattern_ops" });
    if (this.#trigrams)
      use.inverted.push({ key: { ...key, suffix: "gin_trgm_ops" }, method: "gin" });
  }

  #inverted({ use, key }: { use: TableUse; key: IndexKey }, operator: string): void {
    const type =
      this.#catalogue.columns.find(
        (column) => column.relid === use.table.oid && column.name === key.column,
      )?.type ?? "";
    if (type.endsWith("range")) use.inverted.push({ key, method: "gist" });
    else if (type === "jsonb" && (operator === "@>" || operator === "@?" || operator === "@@")) {
      use.inverted.push({ key: { ...key, suffix: "jsonb_path_ops" }, method: "gin" });
    } else use.inverted.push({ key, method: "gin" });
  }

  /**
   * A condition on one column that holds no parameter may be the predicate of a partial index: equality with a constant, a boolean,
   * NULL or not. The constant of a range is another one tomorrow.
   */
  #predicate(node: Node, scope: Scope): void {
    const lasting =
      "NullTest" in node ||
      "ColumnRef" in node ||
      "BoolExpr" in node ||
      ("A_Expr" in node &&
        node.A_Expr.kind === "AEXPR_OP" &&
        textOf(node.A_Expr.name?.at(-1)) === "=");
    if (!lasting) return;
    const { columns, links } = partsOf(node);
    const found = columns.map((column) => this.#resolve(column, scope));
    const [first] = found;
    if (
      first === undefined ||
      first === null ||
      links.length > 0 ||
      found.some((other) => other?.use !== first.use || other.name !== first.name)
    )
      return;
    const sql = deparse(node);
    if (sql !== null)
      first.use.predicates.push({ sql, column: first.name, constant: "A_Expr" in node });
  }

  #sorted(sort: readonly SortBy[], targets: readonly Node[], scope: Scope): void {
    const keys = sort.map((item) => {
      const found = this.#key(target(item.node, targets, this, scope), scope);
      const descending = item.sortby_dir === "SORTBY_DESC";
      const nulls =
        { SORTBY_NULLS_FIRST: " NULLS FIRST", SORTBY_NULLS_LAST: " NULLS LAST" }[
          String(item.sortby_nulls)
        ] ?? "";
      const suffix = `${descending ? "DESC" : ""}${nulls}`.trim();
      return found === null
        ? null
        : { use: found.use, key: suffix === "" ? found.key : { ...found.key, suffix } };
    });
    const [first] = keys;
    if (first === undefined || first === null || keys.some((key) => key?.use !== first.use)) return;
    // An index read backwards gives the same columns in the opposite order: all descending needs no word.
    const backwards = keys.every((key) => key?.key.suffix === "DESC");
    for (const found of keys) {
      if (found === null) continue;
      const { column, sql } = found.key;
      add(first.use.order, backwards ? { column, sql } : found.key);
    }
  }

  /** Whether a name stands for a column of a table here. */
  isColumn(column: ColumnRef, scope: Scope): boolean {
    return this.#resolve(column, scope) !== null;
  }
}

/** ORDER BY 2, or by the name of an output column, means the expression in the list. */
function target(
  node: Node | undefined,
  targets: readonly Node[],
  reader: Reader,
  scope: Scope,
): Node | undefined {
  if (node === undefined) return undefined;
  if ("A_Const" in node && node.A_Const.ival !== undefined) {
    const item = targets[(node.A_Const.ival.ival ?? 0) - 1];
    return item !== undefined && "ResTarget" in item ? item.ResTarget.val : undefined;
  }
  if (
    "ColumnRef" in node &&
    node.ColumnRef.fields?.length === 1 &&
    !reader.isColumn(node.ColumnRef, scope)
  ) {
    const item = targets.find(
      (one) => "ResTarget" in one && one.ResTarget.name === textOf(node.ColumnRef.fields?.[0]),
    );
    return item !== undefined && "ResTarget" in item ? item.ResTarget.val : node;
  }
  return node;
}

function columnKey(name: string): IndexKey {
  return { column: name, sql: quoteIdent(name) };
}

function add(list: IndexKey[], key: IndexKey): void {
  if (!list.some((other) => other.sql === key.sql && other.suffix === key.suffix)) list.push(key);
}

/** The table of UPDATE, DELETE and MERGE, wrapped as those in FROM are. */
function range(table: RangeVar | undefined): Node {
  return { RangeVar: table ?? {} };
}
