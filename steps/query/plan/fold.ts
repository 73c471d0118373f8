import {
  type Facts,
  factsOf,
  type Finding,
  type RelationFacts,
  SEVERITIES,
  type TableName,
} from "./finding.ts";
import {
  type Buffers,
  number,
  type Plan,
  type PlanNode,
  walk,
  withAncestors,
  workers,
} from "./tree.ts";

/** Details that EXPLAIN gives as the average of a loop, and those that it gives in all. */
const AVERAGES = /^rows_removed_by_/;
const SUMS = ["heap_fetches", "exact_heap_blocks", "lossy_heap_blocks", "index_searches"];

/** A plan in which one node stands for all partitions of a table that are read in the same way. */
export interface Folded {
  plan: Plan;
  facts: Facts;
  /** The number of partitions and their table, by the path of the node that stands for them. */
  partitions: ReadonlyMap<string, { count: number; table: string }>;
}

/**
 * Makes one of the members of an Append that do the same with other partitions of one table, with the sum of what they read and spent:
 * a finding that is too small in each partition is reported once for all.
 */
export function fold(plan: Plan, facts: Facts): Folded {
  const partitions = new Map<string, { count: number; table: string }>();
  const rootOf = (node: PlanNode): TableName | null =>
    facts.relations.find(
      ({ schema, name }) => name === node.relation?.name && schema === node.relation.schema,
    )?.root ?? null;
  const visit = (node: PlanNode): PlanNode => {
    const children = node.children.map(visit);
    const groups = Map.groupBy(children, (child) =>
      child.role === "member" ? shapeOf(child, rootOf) : child.path,
    );
    return {
      ...node,
      children: [...groups.values()].map((group) => merged(group, rootOf, partitions)),
    };
  };
  return {
    plan: { ...plan, root: visit(plan.root) },
    // Before what the catalogue says of the partitioned table, which has no pages of its own.
    facts: { ...facts, relations: [...wholes(facts.relations), ...facts.relations] },
    partitions,
  };
}

/** Keeps the worst of the like findings in several partitions of a table, with the number of the others. */
export function grouped(found: readonly Finding[], plan: Plan, facts: Facts): Finding[] {
  const places = new Map(
    [...withAncestors(plan.root)].map(([node, above]) => [node.path, [node, ...above]]),
  );
  const groups = Map.groupBy(found, (finding) => {
    const [node, ...above] = places.get(finding.node?.path ?? "") ?? [];
    const tables = node === undefined ? [] : rootsBelow(node, facts);
    const member = [node, ...above].find((one) => one?.role === "member");
    return member === undefined || tables.length === 0
      ? finding
      : JSON.stringify([finding.code, tables, member.path.replace(/\.\d+$/, "")]);
  });
  return [...groups.values()].map((group) => {
    const [worst] = group.toSorted(
      (a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity),
    );
    const node = places.get(worst?.node?.path ?? "")?.[0];
    const table = node === undefined ? undefined : rootsBelow(node, facts)[0];
    if (worst === undefined || group.length === 1) return worst as Finding;
    return {
      ...worst,
      message: `${worst.message} The same in ${group.length - 1} other partitions of ${table?.split(" ")[0]}.`,
      evidence: { ...worst.evidence, partitions: group.length },
    };
  });
}

/** The partitioned tables, each with the name that it has in the statement, when what is read below is nothing but their partitions. */
function rootsBelow(node: PlanNode, facts: Facts): string[] {
  const tables = [...walk(node)].flatMap((one) => {
    const root = one.relation === null ? undefined : (factsOf(one, facts)?.root ?? null);
    if (root === undefined) return [];
    return [
      root === null ? null : `${root.schema}.${root.name} ${stem(one.relation?.alias ?? "")}`,
    ];
  });
  return tables.includes(null) ? [] : [...new Set(tables as string[])].toSorted();
}

/** Adds to a finding the number of nodes for which its node stands. */
export function counted(finding: Finding, { partitions }: Folded): Finding {
  const many = finding.node === null ? undefined : partitions.get(finding.node.path);
  if (many === undefined) return finding;
  const apart =
    "A partitioned table takes no CONCURRENTLY: create the index ON ONLY it, then CONCURRENTLY on each partition, and attach those to it.";
  const advice = finding.advice.replaceAll("CREATE INDEX CONCURRENTLY ON", "CREATE INDEX ON ONLY");
  return {
    ...finding,
    message: `${finding.message} Counted over ${many.count} partitions of ${many.table} together.`,
    evidence: { ...finding.evidence, partitions: many.count },
    advice: /create (an )?index/i.test(advice) ? `${advice} ${apart}` : advice,
  };
}

/** Equal for members that do the same with other partitions. */
function shapeOf(node: PlanNode, rootOf: (node: PlanNode) => TableName | null): string {
  const root = rootOf(node);
  const table = root ?? node.relation;
  const never = node.actual !== null && node.actual.loops === 0;
  const own = [
    node.type,
    node.details.parallel_aware === true,
    table === null ? "" : `${table.schema}.${table.name} ${stem(node.relation?.alias ?? "")}`,
    node.details.join_type ?? "",
    never,
  ];
  return JSON.stringify([own, node.children.map((child) => shapeOf(child, rootOf))]);
}

/** The planner calls the partitions of `t` in its plans `t_1`, `t_2`, … */
function stem(alias: string): string {
  return alias.replace(/_\d+$/, "");
}

function merged(
  group: readonly PlanNode[],
  rootOf: (node: PlanNode) => TableName | null,
  partitions: Map<string, { count: number; table: string }>,
): PlanNode {
  const [first] = group;
  if (first === undefined || group.length === 1 || ![...walk(first)].some((one) => rootOf(one)))
    return first as PlanNode;
  // The one that took most stands for the rest in what can't be added up.
  const most = group.toSorted((a, b) => weight(b) - weight(a))[0] as PlanNode;
  const root = rootOf(most);
  const relation =
    root === null ? most.relation : { ...root, alias: stem(most.relation?.alias ?? "") };
  if (root !== null)
    partitions.set(most.path, { count: group.length, table: `${root.schema}.${root.name}` });
  const sum = (of: (node: PlanNode) => number) =>
    group.reduce((total, node) => total + of(node), 0);
  // Each is gone through as often as the whole.
  const loops = Math.max(...group.map(({ actual }) => actual?.loops ?? 0));
  const rows = sum(({ actual }) => actual?.rows ?? 0);
  const maybe = (key: "time_ms" | "own_ms" | "share") =>
    most.actual?.[key] == null ? null : sum(({ actual }) => actual?.[key] ?? 0);
  const children = most.children.map((child, at) =>
    merged(
      [child, ...group.filter((node) => node !== most).flatMap((node) => node.children[at] ?? [])],
      rootOf,
      partitions,
    ),
  );
  return {
    ...most,
    title: root === null ? most.title : renamed(most, root, group.length),
    relation,
    estimated: {
      ...most.estimated,
      own_cost: sum(({ estimated }) => estimated.own_cost),
      total_cost: sum(({ estimated }) => estimated.total_cost),
      rows: sum(({ estimated }) => estimated.rows),
      all_rows: sum(({ estimated }) => estimated.all_rows),
    },
    actual:
      most.actual === null
        ? null
        : {
            ...most.actual,
            loops,
            rows,
            rows_per_loop: loops === 0 ? 0 : rows / loops,
            time_ms: maybe("time_ms"),
            own_ms: maybe("own_ms"),
            share: maybe("share"),
          },
    buffers: most.buffers === null ? null : added(group.map(({ buffers }) => buffers)),
    details: details(most, group, loops),
    children,
  };
}

const weight = (node: PlanNode) => node.actual?.time_ms ?? node.estimated.total_cost;

function renamed(node: PlanNode, root: TableName, count: number): string {
  const { relation } = node;
  const alias = stem(relation?.alias ?? "");
  const [before] = node.title.split(` on ${relation?.name ?? ""}`);
  return `${before} on ${root.name}${alias === root.name ? "" : ` ${alias}`} (${count} partitions)`;
}

function added(all: readonly (Buffers | null)[]): Buffers {
  const total: Record<string, number> = {};
  for (const one of all)
    for (const [key, value] of Object.entries(one ?? {})) total[key] = (total[key] ?? 0) + value;
  return total as unknown as Buffers;
}

function details(most: PlanNode, group: readonly PlanNode[], loops: number): PlanNode["details"] {
  const { workers: _, ...own } = most.details;
  const alias = most.relation?.alias ?? "";
  const made: PlanNode["details"] = {};
  const inAll = (node: PlanNode, key: string) =>
    workers(node).reduce((sum, worker) => sum + Number(worker[key] ?? 0), number(node, key));
  const keys = new Set([
    ...Object.keys(own),
    ...SUMS,
    ...group.flatMap((one) => Object.keys(one.details)),
  ]);
  for (const key of keys) {
    const value = own[key];
    if (SUMS.includes(key)) {
      const sum = group.reduce((total, node) => total + inAll(node, key), 0);
      if (sum > 0) made[key] = sum;
    } else if (AVERAGES.test(key)) {
      const all = group.reduce(
        (total, node) => total + number(node, key) * (node.actual?.loops ?? 0),
        0,
      );
      made[key] = loops === 0 ? 0 : all / loops;
    } else if (value !== undefined) {
      made[key] = typeof value === "string" ? unqualified(value, alias) : value;
    }
  }
  return made;
}

/** A condition as it is for the whole: `t_1.x = 7` as `t.x = 7`. */
function unqualified(condition: string, alias: string): string {
  const name = RegExp.escape(alias);
  return condition.replaceAll(
    new RegExp(`(?<![\\w"])("?)${name}\\1\\.`, "g"),
    `$1${stem(alias)}$1.`,
  );
}

/** Facts of the tables whose partitions are in the plan: those of the partitions together. */
function wholes(relations: readonly RelationFacts[]): RelationFacts[] {
  const parts = relations.filter((one) => one.root != null);
  const groups = Map.groupBy(parts, ({ root }) => `${root?.schema}.${root?.name}`);
  return [...groups.values()].flatMap((group): RelationFacts[] => {
    const [first] = group;
    if (first === undefined || first.root == null) return [];
    const sum = (of: (one: RelationFacts) => number) =>
      group.reduce((total, one) => total + of(one), 0);
    const { schema, name } = first.root;
    return [
      {
        ...first,
        schema,
        name,
        root: null,
        pages: sum(({ pages }) => pages),
        rows: sum(({ rows }) => Math.max(0, rows)),
        modified: sum(({ modified }) => modified ?? 0),
        indexes: group.flatMap(({ indexes = [] }) => indexes),
      },
    ];
  });
}
