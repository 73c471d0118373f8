import { number, type PlanNode } from "./tree.ts";

/** The number of processes among which the planner divides the work: costsize.c, get_parallel_divisor. */
function divisorOf(workers: number, leads: boolean): number {
  return workers + (leads ? Math.max(0, 1 - 0.3 * workers) : 0);
}

/** Nodes that give the same number of rows in each process, independent of the nodes below. */
const WHOLE = new Set(["Aggregate", "Group", "Unique", "Limit", "SetOp"]);

interface Sharing {
  /** By how many the rows below are divided; 1 outside of a Gather. */
  divisor: number;
  /** The number of times that the Gather was run. */
  loops: number;
}

/**
 * Works out what is estimated for all loops and processes together. The planner gives the rows of a parallel node for one process, and
 * divides by less than the number of processes, since a leader that gathers has less time to help.
 * @param leads parallel_leader_participation
 */
export function countEstimated(root: PlanNode, leads: boolean): void {
  visit(root, { divisor: 1, loops: 1 }, leads);
}

/** True when the node's rows are divided. */
function visit(node: PlanNode, sharing: Sharing, leads: boolean): boolean {
  const { estimated, actual } = node;
  const below = node.type.startsWith("Gather") ? gathered(node, leads) : sharing;
  const shared = node.children.map((child) =>
    visit(child, child.role === "init_plan" || child.role === "cte" ? ONCE : below, leads),
  );
  const aware = node.details.parallel_aware === true;
  const from = node.children.some(
    ({ role }, at) => shared[at] === true && (role === "outer" || role === "member"),
  );
  const divided =
    sharing.divisor > 1 &&
    !WHOLE.has(node.type) &&
    !node.type.startsWith("Gather") &&
    (aware || from);
  estimated.divided_by = divided ? sharing.divisor : 1;
  const repeats =
    actual === null || actual.loops === 0 ? 1 : divided ? sharing.loops : actual.loops;
  estimated.all_rows = estimated.rows * estimated.divided_by * repeats;
  if (divided && node.type === "Append" && aware) level(node);
  return divided;
}

const ONCE: Sharing = { divisor: 1, loops: 1 };

function gathered(node: PlanNode, leads: boolean): Sharing {
  const workers = number(node, "workers_planned");
  const loops = Math.max(1, node.actual?.loops ?? 1);
  // A single copy is run by one worker alone: debug_parallel_query.
  return { divisor: node.details.single_copy === true ? 1 : divisorOf(workers, leads), loops };
}

/**
 * A small table below a Parallel Append has fewer workers than the whole, and is divided by less; by how much is not told. What all of them
 * give together is known: theirs is made to add up to it.
 */
function level(append: PlanNode): void {
  const divided = append.children.filter(({ estimated }) => estimated.divided_by > 1);
  const sum = (nodes: readonly PlanNode[]) =>
    nodes.reduce((total, { estimated }) => total + estimated.all_rows, 0);
  const others = append.children.filter((child) => !divided.includes(child));
  const factor = (append.estimated.all_rows - sum(others)) / sum(divided);
  if (!(factor > 0 && factor < 1)) return;
  for (const child of divided) scale(child, Math.max(factor, 1 / child.estimated.divided_by));
}

function scale(node: PlanNode, factor: number): void {
  if (node.estimated.divided_by === 1) return;
  node.estimated.divided_by *= factor;
  node.estimated.all_rows *= factor;
  for (const child of node.children) scale(child, factor);
}
