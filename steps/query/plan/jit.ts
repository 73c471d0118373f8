import { isMapping, type Json, type JsonObject } from "../../../engine/types.ts";
import { type Plan, type PlanNode, walk, workers } from "./tree.ts";

interface Timing {
  functions: number;
  /** By what was done, and `total`. */
  parts: Record<string, number>;
}

/**
 * JIT compilation of the leader. The server's summary adds up all processes, which compile at the same time, so that it may be longer than
 * the execution; what each worker spent stands at its Gather (with VERBOSE) and is taken off.
 */
export function jitOf(summary: Json | undefined, root: PlanNode): Plan["jit"] {
  if (!isMapping(summary)) return null;
  const all = timingOf(summary, "Functions", "Timing");
  const nodes = [...walk(root)];
  const launched = nodes.some(({ details }) => Number(details.workers_launched ?? 0) > 0);
  const ofWorkers = nodes.flatMap((node) =>
    workers(node).flatMap(({ jit }) =>
      isMapping(jit) ? [timingOf(jit, "functions", "timing")] : [],
    ),
  );
  const sum = (of: (timing: Timing) => number) =>
    ofWorkers.reduce((total, timing) => total + of(timing), 0);
  const own = Object.fromEntries(
    Object.entries(all.parts).map(([name, ms]) => [
      name,
      rounded(Math.max(0, ms - sum(({ parts }) => parts[name] ?? 0))),
    ]),
  );
  const { total, ...parts } = own;
  return {
    functions: Math.max(0, all.functions - sum(({ functions }) => functions)),
    total_ms: total ?? null,
    parts,
    workers_ms: rounded(sum(({ parts: { total: ms } }) => ms ?? 0)),
    whose: launched && ofWorkers.length === 0 ? "all" : "leader",
  };
}

/** 17 made `Generation` an object of its own with a total. */
function timingOf(jit: JsonObject, functions: string, timing: string): Timing {
  const times = isMapping(jit[timing]) ? jit[timing] : {};
  return {
    functions: Number(jit[functions] ?? 0),
    parts: Object.fromEntries(
      Object.entries(times).map(([key, part]) => [
        key.toLowerCase(),
        Number((isMapping(part) ? (part["Total"] ?? part["total"]) : part) ?? 0),
      ]),
    ),
  };
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
