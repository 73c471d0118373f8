import type { A_Expr, Node } from "libpg-query";
import type { Catalogue, IndexKey } from "../../../providers/planner/twin/twin.ts";
import { deparse, textOf } from "./deparse.ts";
import { add, type Names, type Scope, type TableUse } from "./scope.ts";
import { hasParameter, partsOf } from "./tree.ts";

/** Comparison operators a B-tree serves by a range. */
const RANGE = new Set(["<", ">", "<=", ">="]);
/** Operators that GIN or GiST serve. */
const INVERTED = new Set(["@>", "<@", "&&", "?", "?|", "?&", "@@", "@?"]);

/** Notes what an index could do for a condition, in the use of the table that the condition is about. */
export class Conditions {
  readonly #names: Names;
  readonly #catalogue: Catalogue;
  readonly #trigrams: boolean;

  constructor(names: Names, catalogue: Catalogue) {
    this.#names = names;
    this.#catalogue = catalogue;
    this.#trigrams = catalogue.extensions.some((extension) => extension.name === "pg_trgm");
  }

  equal(found: { use: TableUse; key: IndexKey } | null, branch: boolean): void {
    if (found !== null) add(branch ? found.use.branches : found.use.equal, found.key);
  }

  comparison(node: A_Expr, scope: Scope, branch: boolean): void {
    const operator = textOf(node.name?.at(-1));
    const left = this.#names.key(node.lexpr, scope);
    const right = this.#names.key(node.rexpr, scope);
    if (left !== null && left.use === right?.use) return;
    const sides = [left, right].filter((side) => side !== null);
    if (operator === "=" && hasParameter([node.lexpr, node.rexpr]))
      for (const { use, key } of sides) if (key.column !== null) use.bound.add(key.column);
    if (node.kind === "AEXPR_IN" || node.kind === "AEXPR_OP_ANY") {
      if (operator === "=") this.equal(left, branch);
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
        if (operator === "=") this.equal(side, branch);
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
  predicate(node: Node, scope: Scope): void {
    const lasting =
      "NullTest" in node ||
      "ColumnRef" in node ||
      "BoolExpr" in node ||
      ("A_Expr" in node &&
        node.A_Expr.kind === "AEXPR_OP" &&
        textOf(node.A_Expr.name?.at(-1)) === "=");
    if (!lasting) return;
    const { columns, links } = partsOf(node);
    const found = columns.map((column) => this.#names.resolve(column, scope));
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
}
