import { type Buffers, type PlanNode, walk } from "./tree.ts";

/**
 * What a node spends itself is what it spends in all less its children. Sub-plans are the exception: EXPLAIN draws an InitPlan or
 * CTE below the node where its query level begins, but its time stands in whichever node first asked for a row of it. Such a node is
 * charged for it afterwards, so that it is counted once.
 */
const lazy = (node: PlanNode) => node.role === "init_plan" || node.role === "cte";

const ordinary = (node: PlanNode) => node.children.filter((child) => !lazy(child));

/** Sets `own_cost` and `own_ms` of all nodes and makes their buffers their own. */
export function attribute(root: PlanNode): void {
  const nodes = [...walk(root)];
  const whole = new Map(nodes.filter(lazy).map((node) => [node, { ...node.buffers } as Buffers]));
  // Parents come first, while what their children spent is still whole.
  for (const node of nodes) {
    ownCost(node);
    ownTime(node);
    for (const child of ordinary(node)) subtract(node.buffers, child.buffers);
  }
  for (const node of nodes) {
    for (const plan of node.children.filter(lazy)) charge(plan, payersOf(plan, node, root), whole);
  }
}

function ownTime(node: PlanNode): void {
  const { actual } = node;
  if (actual === null || actual.time_ms === null) return;
  const children = sum(ordinary(node).map((child) => child.actual?.time_ms ?? 0));
  actual.own_ms = Math.max(0, actual.time_ms - children);
}

/** Costs are those of one loop; the inner side of a nested loop is repeated for each row of the outer one. */
function ownCost(node: PlanNode): void {
  const outer = node.children.find((child) => child.role === "outer");
  const repeats = node.type === "Nested Loop" ? Math.max(1, outer?.estimated.rows ?? 1) : 1;
  const children = node.children.map(
    (child) => child.estimated.total_cost * (child.role === "inner" ? repeats : 1),
  );
  node.estimated.own_cost = Math.max(0, node.estimated.total_cost - sum(children));
}

/** Takes what an InitPlan or CTE spent out of the nodes that waited for it. */
function charge(plan: PlanNode, payers: PlanNode[], whole: Map<PlanNode, Buffers>): void {
  let time = plan.actual?.time_ms ?? 0;
  for (const { actual } of payers.toSorted((a, b) => spent(b) - spent(a))) {
    if (actual === null || actual.own_ms === null) continue;
    const taken = Math.min(time, actual.own_ms);
    actual.own_ms -= taken;
    time -= taken;
  }
  const reader = payers.toSorted((a, b) => blocks(b) - blocks(a))[0];
  subtract(reader?.buffers ?? null, whole.get(plan) ?? null);
}

/** The nodes whose time may hold that of `plan`, which is drawn below `owner`. */
function payersOf(plan: PlanNode, owner: PlanNode, root: PlanNode): PlanNode[] {
  const name = plan.subplan ?? "";
  if (plan.role === "cte") {
    const cte = name.slice("CTE ".length);
    // One that changes data and that nothing reads is run at the end of the statement, outside of all nodes.
    return [...walk(root)].filter(
      (node) => node.type === "CTE Scan" && node.details.cte_name === cte,
    );
  }
  // "InitPlan 1 (returns $0)" up to 16, "InitPlan 1" and then "(InitPlan 1).col1" in expressions since.
  const returned = /\(returns (.+)\)/.exec(name)?.[1]?.split(",") ?? [`(${name}).`];
  const asks = (node: PlanNode) => {
    const said = JSON.stringify(node.details);
    return returned.some((word) => new RegExp(`${RegExp.escape(word)}(?!\\d)`).test(said));
  };
  const found: PlanNode[] = [];
  const look = (node: PlanNode, gather: PlanNode | null) => {
    if (asks(node)) found.push(gather ?? node);
    // A Gather has InitPlans run before it starts its workers.
    const next = gather ?? (node.type.startsWith("Gather") ? node : null);
    for (const child of node.children) if (child !== plan) look(child, next);
  };
  look(owner, null);
  return found.length === 0 ? [owner] : [...new Set(found)];
}

const spent = (node: PlanNode) => node.actual?.own_ms ?? 0;

const blocks = (node: PlanNode) => (node.buffers === null ? 0 : sum(Object.values(node.buffers)));

function subtract(from: Buffers | null, what: Buffers | null): void {
  if (from === null || what === null) return;
  for (const key of Object.keys(from) as (keyof Buffers)[])
    from[key] = Math.max(0, from[key] - what[key]);
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
