import type {
  ColumnRef,
  JoinExpr,
  Node,
  RangeVar,
  SelectStmt,
  SortBy,
  WithClause,
} from "libpg-query";
import type { Catalogue } from "../../../providers/planner/twin/twin.ts";
import { Conditions } from "./conditions.ts";
import { textOf } from "./deparse.ts";
import {
  add,
  columnKey,
  type Found,
  Names,
  NOTHING,
  type Outputs,
  type Relation,
  type Scope,
  type TableUse,
} from "./scope.ts";
import { parseStatement, partsOf } from "./tree.ts";

/** Finds how a statement uses its tables. Names are resolved as PostgreSQL does, by alias and search path. */
export async function usesOf(
  statement: Node,
  catalogue: Catalogue,
  names = new Names(catalogue),
): Promise<TableUse[]> {
  const reader = new Reader(catalogue, names);
  await reader.statement(statement, null);
  return reader.uses;
}

class Reader {
  readonly uses: TableUse[] = [];
  readonly #names: Names;
  readonly #conditions: Conditions;
  #with = new Map<string, Outputs>();

  constructor(catalogue: Catalogue, names: Names) {
    this.#names = names;
    this.#conditions = new Conditions(this.#names, catalogue);
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
      this.#conditions.equal(this.#names.key(first.ResTarget.val, scope), false);
    const grouped = (block.group ?? []).map((node) => this.#names.key(node, scope));
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
      const found = this.#names.resolve(val.ColumnRef, scope);
      if (found !== null) outputs.set(name ?? found.name, found);
      else if (last !== undefined && "A_Star" in last)
        for (const source of scope.sources)
          for (const [column, of] of this.#names.columnsOf(source)) outputs.set(column, of);
    }
    return outputs;
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
    const table = query === undefined ? this.#names.find(range) : undefined;
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
      bound: new Set(),
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

  async #join(join: JoinExpr, scope: Scope, conditions: Node[]): Promise<void> {
    for (const side of [join.larg, join.rarg])
      if (side !== undefined) await this.#from(side, scope, conditions);
    if (join.quals !== undefined) conditions.push(join.quals);
    for (const name of (join.usingClause ?? []).map(textOf)) {
      for (const { use } of scope.sources) {
        if (use === null || !this.#names.has(use, name)) continue;
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
    const found = this.#names.resolve(column, scope);
    found?.use.columns.add(found.name);
    // A table's name alone is its whole row.
    const whole =
      column.fields?.length === 1
        ? scope.sources.find((source) => source.alias === textOf(last))
        : undefined;
    if (found === null && whole?.use) whole.use.all = true;
  }

  async #condition(node: Node, scope: Scope, branch: boolean): Promise<void> {
    if ("BoolExpr" in node && node.BoolExpr.boolop !== "NOT_EXPR") {
      for (const arg of node.BoolExpr.args ?? [])
        await this.#condition(arg, scope, branch || node.BoolExpr.boolop === "OR_EXPR");
      return;
    }
    await this.#expression(node, scope);
    if ("A_Expr" in node) this.#conditions.comparison(node.A_Expr, scope, branch);
    else if ("SubLink" in node && node.SubLink.subLinkType === "ANY_SUBLINK")
      this.#conditions.equal(this.#names.key(node.SubLink.testexpr, scope), branch);
    else if ("NullTest" in node && node.NullTest.nulltesttype !== "IS_NOT_NULL")
      this.#conditions.equal(this.#names.key(node.NullTest.arg, scope), branch);
    if (!branch) this.#conditions.predicate(node, scope);
  }

  #sorted(sort: readonly SortBy[], targets: readonly Node[], scope: Scope): void {
    const keys = sort.map((item) => {
      const found = this.#names.key(target(item.node, targets, this.#names, scope), scope);
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
}

/** ORDER BY 2, or by the name of an output column, means the expression in the list. */
function target(
  node: Node | undefined,
  targets: readonly Node[],
  names: Names,
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
    names.resolve(node.ColumnRef, scope) === null
  ) {
    const item = targets.find(
      (one) => "ResTarget" in one && one.ResTarget.name === textOf(node.ColumnRef.fields?.[0]),
    );
    return item !== undefined && "ResTarget" in item ? item.ResTarget.val : node;
  }
  return node;
}

/** The table of UPDATE, DELETE and MERGE, wrapped as those in FROM are. */
function range(table: RangeVar | undefined): Node {
  return { RangeVar: table ?? {} };
}
