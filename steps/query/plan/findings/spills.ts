import { isMapping, type JsonObject } from "../../../../engine/types.ts";
import { at, type Facts, type Finding, kb, type Rule, weigh, several } from "../finding.ts";
import { number, type Plan, type PlanNode, text, walk, workers } from "../tree.ts";

/** Sorts, hash joins and hashed aggregates that did not fit into work_mem and went to temporary files. */
export const spills: Rule = (plan, facts) =>
  [...walk(plan.root)].flatMap((node) => {
    if (node.actual === null || node.actual.loops === 0) return [];
    if (node.type === "Sort" || node.type === "Incremental Sort") return sort(node, plan, facts);
    if (node.type === "Hash") return hash(node, facts);
    return node.type === "Aggregate" ? aggregate(node, plan, facts) : [];
  });

/** tuplesort.c: a SortTuple is 24 bytes and its array doubles; up to 16 the tuple lies in a chunk of 2^n bytes. */
const SORT_TUPLE = 24;
const MINIMAL_TUPLE = 16;

function sort(node: PlanNode, plan: Plan, facts: Facts): Finding[] {
  const { actual } = node;
  const sorts = [node.details, ...workers(node)].map(diskOf).filter((disk) => disk > 0);
  if (actual === null || sorts.length === 0) return [];
  const disk = Math.max(...sorts);
  const perSort = Math.max(1, Math.round(actual.rows_per_loop));
  const width = Math.max(node.estimated.width, Math.round((disk * 1024) / perSort));
  const needed = margin((perSort * (2 * SORT_TUPLE + chunk(MINIMAL_TUPLE + width))) / 1024);
  return [
    {
      code: "sort_spill",
      severity: weigh(plan, actual.share),
      node: at(node),
      message: `Sorted ${several(perSort, "row")} through ${kb(disk)} of temporary files, with work_mem = ${kb(facts.work_mem_kb)}.`,
      evidence: {
        disk_kb: disk,
        rows: perSort,
        sorts: Math.max(sorts.length, actual.loops),
        method: text(node, "sort_method") ?? "external merge",
        work_mem_kb: facts.work_mem_kb,
        needed_work_mem_kb: needed,
      },
      advice: `SET work_mem = '${kb(needed)}' for this statement holds the sort in memory; an index in the order of the sort key spares it altogether.`,
    },
  ];
}

/** Kilobytes that one sort wrote to disk. An incremental sort tells it by groups. */
function diskOf(details: JsonObject): number {
  const own = details.sort_space_type === "Disk" ? Number(details.sort_space_used) : 0;
  const groups = [details.full_sort_groups, details.pre_sorted_groups].map((group) => {
    const disk = isMapping(group) ? group.sort_space_disk : undefined;
    return isMapping(disk) ? Number(disk.peak_sort_space_used) : 0;
  });
  return Math.max(own, ...groups);
}

/** nodeHash.c, ExecChooseHashTableSize: header of a hashed tuple, and a bucket for each. */
const HASH_TUPLE = 16;
const BUCKET = 16;

function hash(node: PlanNode, facts: Facts): Finding[] {
  const batches = number(node, "hash_batches");
  if (batches <= 1) return [];
  const rows = Math.max(node.actual?.rows_per_loop ?? 0, 1);
  const tuples =
    (rows * (HASH_TUPLE + MINIMAL_TUPLE + align(node.estimated.width) + BUCKET)) / 1024;
  const { work_mem_kb, hash_mem_multiplier } = facts;
  const needed = margin(tuples / hash_mem_multiplier);
  const original = number(node, "original_hash_batches");
  const grew = original > 0 && original < batches;
  return [
    {
      code: "hash_spill",
      severity: "warning",
      node: at(node),
      message: `The hash of ${several(rows, "row")} was cut into ${batches} batches${grew ? ` (planned: ${original})` : ""}, all but one through temporary files.`,
      evidence: {
        batches,
        original_batches: original,
        rows: Math.round(rows),
        peak_kb: number(node, "peak_memory_usage"),
        work_mem_kb,
        hash_mem_multiplier,
        needed_work_mem_kb: needed,
      },
      advice: `SET work_mem = '${kb(needed)}' for this statement holds it in one batch (a hash may use work_mem × hash_mem_multiplier = ${hash_mem_multiplier}).${grew ? " More batches than planned come from a misestimate below." : ""}`,
    },
  ];
}

/** nodeAgg.c, hash_agg_entry_size: hash entry, header of the group's first tuple, its aggregate states. */
const GROUP = 144;

function aggregate(node: PlanNode, plan: Plan, facts: Facts): Finding[] {
  const reports = [node.details, ...workers(node)];
  const of = (key: string) => reports.map((report) => Number(report[key] ?? 0));
  const batches = Math.max(...of("hashagg_batches"));
  const disk = Math.max(...of("disk_usage"));
  if (batches <= 1 && disk === 0) return [];
  const groups = Math.max(node.actual?.rows_per_loop ?? 0, 1);
  const { work_mem_kb, hash_mem_multiplier } = facts;
  const needed = margin(
    (groups * (GROUP + chunk(MINIMAL_TUPLE + node.estimated.width))) / 1024 / hash_mem_multiplier,
  );
  return [
    {
      code: "aggregate_spill",
      severity: weigh(plan, node.actual?.share ?? null),
      node: at(node),
      message: `Grouped into ${several(groups, "group")} in ${several(batches, "batch", "batches")}, with ${kb(disk)} of temporary files.`,
      evidence: {
        batches,
        disk_kb: disk,
        groups: Math.round(groups),
        peak_kb: Math.max(...of("peak_memory_usage")),
        work_mem_kb,
        hash_mem_multiplier,
        needed_work_mem_kb: needed,
      },
      advice: `SET work_mem = '${kb(needed)}' for this statement holds the groups in memory (a hash may use work_mem × hash_mem_multiplier = ${hash_mem_multiplier}).`,
    },
  ];
}

/** A tenth more, in whole megabytes. */
function margin(kilobytes: number): number {
  return Math.ceil((kilobytes * 1.1) / 1024) * 1024;
}

/** aset.c: the next power of two, and 16 bytes before it. */
function chunk(bytes: number): number {
  return 16 + 2 ** Math.ceil(Math.log2(Math.max(8, bytes)));
}

function align(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
