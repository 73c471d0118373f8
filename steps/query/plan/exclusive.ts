import { type Buffers, type PlanNode, walk } from "./tree.ts";

/**
 * The time of a node itself is its whole time less that of its children. Sub-plans are the exception: EXPLAIN draws an InitPlan or
 * CTE below the node where its query level begins, but its time stands in whichever node first asked for a row of it. Such a node is
 * charged for it afterwards, so that it is counted once.
 */
const lazy = (node: PlanNode) => node.role === "init_plan" || node.role === "cte";

const ordinary = (node: PlanNode) => node.children.filter((child) => !lazy(child));

/** Sets `own_cost` and `own_ms` of all nodes and makes their buffers their own. */
export function attribute(root: PlanNode): void {
  const nodes = [...walk(root)];
  const whole = new Map(nodes.filter(lazy).map((node) => [node, { ...node.buffers } as Buffers]));
  spread(root, root.estimated.total_cost);
  // Parents come first, while what their children spent is still whole.
  for (const node of nodes) {
    ownTime(node);
    for (const child of ordinary(node)) subtract(node.buffers, child.buffers);
  }
  // The last first: an InitPlan may read a CTE that stands before it, and has to be taken out of its own reader before that is.
  for (const node of nodes.toReversed()) {
    for (const plan of node.children.filter(lazy).toReversed())
      charge(plan, payersOf(plan, node, root), whole);
  }
}

function ownTime(node: PlanNode): void {
  const { actual } = node;
  if (actual === null || actual.time_ms === null) return;
  const children = ordinary(node);
  const below = sum(children.map((child) => child.actual?.time_ms ?? 0));
  // The time of a loop is rounded to a microsecond: of many loops they may seem to take longer than the node that waits for them.
  if (below > actual.time_ms) for (const child of children) shrink(child, actual.time_ms / below);
  actual.own_ms = Math.max(0, actual.time_ms - below);
}

function shrink(node: PlanNode, factor: number): void {
  const { actual } = node;
  if (actual === null || actual.time_ms === null) return;
  actual.time_ms *= factor;
  if (actual.own_ms !== null) actual.own_ms *= factor;
  for (const child of node.children) shrink(child, factor);
}

/**
 * Divides what a node costs in the whole statement among itself and its children. A LIMIT or an EXISTS pays but a part of what is below,
 * a join its inner side again and again, though a later round may cost less than the first.
 */
function spread(node: PlanNode, paid: number): void {
  let left = paid;
  const once = node.children.filter((child) => repeatsOf(child, node) === 1);
  const nominal = sum(once.map(({ estimated }) => estimated.total_cost));
  const part = nominal > left ? left / nominal : 1;
  for (const child of once) {
    spread(child, child.estimated.total_cost * part);
    left -= child.estimated.total_cost * part;
  }
  for (const child of node.children.filter((one) => !once.includes(one))) {
    const cost = Math.min(Math.max(0, left), child.estimated.total_cost * repeatsOf(child, node));
    spread(child, cost);
    left -= cost;
  }
  node.estimated.own_cost = Math.max(0, left);
}

/** The number of times that the planner counts a child. */
function repeatsOf(child: PlanNode, parent: PlanNode): number {
  if (child.role === "inner" && parent.type === "Nested Loop") {
    const outer = parent.children.find(({ role }) => role === "outer");
    return Math.max(1, outer?.estimated.rows ?? 1);
  }
  if (child.role !== "sub_plan" || isHashed(child, parent)) return 1;
  return Math.max(1, parent.estimated.rows);
}

/** True when the sub-plan of `parent` is run once and its rows are looked up in a hash table. */
export function isHashed(child: PlanNode, parent: PlanNode): boolean {
  const name = RegExp.escape(child.subplan ?? "");
  return new RegExp(`hashed ${name}(?!\\d)`).test(JSON.stringify(parent.details));
}

/** Takes what an InitPlan or CTE spent out of the nodes that waited for it. */
function charge(plan: PlanNode, payers: PlanNode[], buffers: Map<PlanNode, Buffers>): void {
  const whole_ms = plan.actual?.time_ms ?? 0;
  let time = whole_ms;
  for (const { actual } of payers.toSorted((a, b) => spent(b) - spent(a))) {
    if (actual === null || actual.own_ms === null) continue;
    const taken = Math.min(time, actual.own_ms);
    actual.own_ms -= taken;
    time -= taken;
  }
  // A part that changes data is run to its end when the statement is done, outside of all nodes.
  const changes = [...walk(plan)].some(({ type }) => type === "ModifyTable");
  if (time > 0 && payers.length > 0 && !changes) shrink(plan, 1 - time / whole_ms);
  const reader = payers.toSorted((a, b) => blocks(b) - blocks(a))[0];
  subtract(reader?.buffers ?? null, buffers.get(plan) ?? null);
}

/** The nodes whose time may hold that of `plan`, which is drawn below `owner`. */
function payersOf(plan: PlanNode, owner: PlanNode, root: PlanNode): PlanNode[] {
  const name = plan.subplan ?? "";
  if (plan.role === "cte") {
    const cte = name.slice("CTE ".length);
    // A CTE that changes data and that nothing reads is run at the end of the statement, outside of all nodes.
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
