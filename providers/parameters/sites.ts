import { childrenOf, type Node, walk } from "./tree.ts";

/** The parts that decide the type of an expression: parameters, and columns that a sub-select or the like may have made of some. */
interface Flow {
  params: Set<number>;
  names: Set<string>;
}

/** Operators whose result is a boolean, whatever they compare. */
const COMPARES = new Set([
  "=",
  "<>",
  "!=",
  "<",
  ">",
  "<=",
  ">=",
  "~~",
  "!~~",
  "~~*",
  "!~~*",
  "~",
  "~*",
  "!~",
  "!~*",
]);
/** Expressions of a type of their own. */
const OWN_TYPE = new Set([
  "TypeCast",
  "A_Const",
  "BoolExpr",
  "NullTest",
  "BooleanTest",
  "SQLValueFunction",
]);

/** The places of a statement's parameters, and the parts of it that depend on their types. */
export class Sites {
  /** For each parameter the offsets of its `$n`, in bytes. */
  readonly params = new Map<number, number[]>();
  readonly #tree: unknown;
  /** Columns by name: which parameters they are made of. */
  readonly #columns = new Map<string, Flow>();

  constructor(tree: unknown) {
    this.#tree = tree;
    walk(tree, (kind, value) => {
      if (kind === "ParamRef") {
        const number = Number(value["number"] ?? 0);
        this.params.set(number, [
          ...(this.params.get(number) ?? []),
          Number(value["location"] ?? 0),
        ]);
      }
      this.#noteColumns(kind, value);
    });
  }

  /**
   * Parameters that may be why something at an offset (in bytes) has no meaning, in groups that would have the same type: the operands
   * of what stands there first, then those of what it is a part of. None where it has no such operands.
   */
  at(offset: number): number[][] {
    const groups = new Map<string, number[]>();
    const add = (params: Iterable<number>): void => {
      const group = [...new Set(params)].toSorted((a, b) => a - b);
      if (group.length > 0 && !groups.has(group.join())) groups.set(group.join(), group);
    };
    for (const node of this.#around(offset)) {
      if (Object.keys(node)[0]?.endsWith("Stmt") === true) break;
      const own = operandsOf(node);
      const columns = this.#madeOf(own.names);
      add([...own.params, ...columns]);
      add(own.params);
      add(columns);
      for (const param of [...own.params, ...columns]) add([param]);
      // A function or an operator has its meaning by its operands alone; of a constant it is what it stands beside.
      if (groups.size === 0 && ("FuncCall" in node || "A_Expr" in node)) break;
    }
    return [...groups.values()];
  }

  /** For each column that is made of parameters these, and all parameters: where it is not said what has no meaning (USING). */
  anywhere(): number[][] {
    const columns = [...this.#columns.keys()].map((name) => [...this.#madeOf([name])]);
    return [...columns.filter(({ length }) => length > 0), [...this.params.keys()]];
  }

  /** The parameters that decide what stands at an offset by itself. */
  operandsAt(offset: number): number[] {
    for (const node of this.#around(offset)) {
      const own = operandsOf(node);
      const params = new Set([...own.params, ...this.#madeOf(own.names)]);
      if (params.size > 0) return [...params];
    }
    return [];
  }

  /** The node at an offset, and those that hold it, the innermost first. */
  #around(offset: number): Node[] {
    let found: Node[] = [];
    const descend = (node: unknown, above: readonly Node[]): void => {
      for (const child of childrenOf(node)) {
        const path = [child, ...above];
        const [value] = Object.values(child) as Node[];
        if (value?.["location"] === offset && path.length > found.length) found = path;
        descend(value, path);
      }
    };
    descend([this.#tree], []);
    return found;
  }

  #madeOf(names: Iterable<string>): Set<number> {
    const params = new Set<number>();
    const seen = new Set<string>();
    const open = [...names];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (seen.has(name)) continue;
      seen.add(name);
      const flow = this.#columns.get(name);
      for (const param of flow?.params ?? []) params.add(param);
      open.push(...(flow?.names ?? []));
    }
    return params;
  }

  #noteColumns(kind: string, value: Node): void {
    const alias = value["alias"] as Node | undefined;
    const given = names(kind === "CommonTableExpr" ? value["aliascolnames"] : alias?.["colnames"]);
    const note = (name: string | undefined, flow: Flow): void => {
      if (name === undefined) return;
      const known = this.#columns.get(name);
      this.#columns.set(name, known === undefined ? flow : union([known, flow]));
    };
    if (kind === "CommonTableExpr" || kind === "RangeSubselect") {
      const query = value[kind === "CommonTableExpr" ? "ctequery" : "subquery"] as Node | undefined;
      const outputs = outputsOf(query?.["SelectStmt"] as Node | undefined);
      for (const [nth, { name, flow }] of outputs.entries()) note(given[nth] ?? name, flow);
    }
    if (kind === "RangeFunction") {
      const flow = union(childrenOf(value["functions"]).map(flowOf));
      for (const name of [...given, alias?.["aliasname"]]) note(name as string | undefined, flow);
    }
  }
}

function union(flows: readonly Flow[]): Flow {
  return {
    params: new Set(flows.flatMap(({ params }) => [...params])),
    names: new Set(flows.flatMap(({ names: all }) => [...all])),
  };
}

/** The parts that decide whether the server finds a meaning for a node. */
function operandsOf(node: Node): Flow {
  if ("ParamRef" in node) return flowOf(node);
  return union(childrenOf(Object.values(node)).map(flowOf));
}

/** The parts that decide the type of an expression. */
function flowOf(node: Node): Flow {
  const [kind = "", wrapped] = Object.entries(node)[0] ?? [];
  const value = wrapped as Node;
  if (OWN_TYPE.has(kind)) return union([]);
  if (kind === "ParamRef") return { ...union([]), params: new Set([Number(value["number"] ?? 0)]) };
  if (kind === "ColumnRef")
    return { ...union([]), names: new Set(names(value["fields"]).slice(-1)) };
  if (kind === "SelectStmt") return union(outputsOf(value).map(({ flow }) => flow));
  if (kind === "SubLink")
    return isValue(value) ? union(childrenOf([value["subselect"]]).map(flowOf)) : union([]);
  if (kind === "A_Expr" && isComparison(value)) return union([]);
  if (kind === "CaseExpr") {
    const results = childrenOf(value["args"]).map((one) => (one["CaseWhen"] as Node)?.["result"]);
    return union(childrenOf([...results, value["defresult"]]).map(flowOf));
  }
  if (kind === "FuncCall")
    return union(childrenOf([value["args"], value["agg_order"]]).map(flowOf));
  return union(childrenOf([value]).map(flowOf));
}

const isValue = ({ subLinkType }: Node): boolean =>
  ["EXPR_SUBLINK", "ARRAY_SUBLINK"].includes(String(subLinkType));

function isComparison({ kind, name }: Node): boolean {
  if (kind === "AEXPR_NULLIF") return false;
  return kind !== "AEXPR_OP" || COMPARES.has(names(name).at(-1) ?? "");
}

/** The texts in a list of names. */
function names(list: unknown): string[] {
  return childrenOf(list).flatMap((one) => (one["String"] as { sval?: string })?.sval ?? []);
}

/** The columns of a SELECT or VALUES, with what their types are made of. */
function outputsOf(select: Node | undefined): { name: string | undefined; flow: Flow }[] {
  if (select === undefined) return [];
  if (select["larg"] !== undefined) {
    const right = outputsOf(select["rarg"] as Node);
    return outputsOf(select["larg"] as Node).map(({ name, flow }, nth) => ({
      name,
      flow: union([flow, right[nth]?.flow ?? union([])]),
    }));
  }
  const rows = childrenOf(select["valuesLists"]).map((row) => childrenOf(row["List"]));
  if (rows[0] !== undefined)
    return rows[0].map((_, nth) => ({
      name: `column${nth + 1}`,
      flow: union(
        rows
          .map((row) => row[nth])
          .filter((one) => one !== undefined)
          .map(flowOf),
      ),
    }));
  return childrenOf(select["targetList"]).map((target) => {
    const { name, val } = target["ResTarget"] as { name?: string; val?: Node };
    const flow = val === undefined ? union([]) : flowOf(val);
    const called = val?.["FuncCall"] as Node | undefined;
    return { name: name ?? [...flow.names][0] ?? names(called?.["funcname"]).at(-1), flow };
  });
}
