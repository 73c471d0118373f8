import type { Disk, Recommendation, TuneInput } from "./input.ts";

const IO_CONCURRENCY: Record<Disk, number> = { hdd: 2, ssd: 200, san: 300, nvme: 1000 };

/** Settings that tell the planner about the data and the storage. */
export function plannerSettings(input: TuneInput): Recommendation[] {
  const { workload, os, disk, version } = input;
  const olap = workload === "olap";
  return [
    {
      name: "default_statistics_target",
      value: olap ? 500 : 100,
      reason: olap
        ? "Large joins multiply errors of estimates; finer statistics cost a slower ANALYZE and little planning time."
        : "PostgreSQL's default: finer statistics would slow ANALYZE and the planning of short queries. Raise it for single columns.",
    },
    { name: "random_page_cost", ...randomPageCost(input) },
    ...(os === "linux"
      ? [
          {
            name: "effective_io_concurrency",
            value: IO_CONCURRENCY[disk],
            reason: `How many reads ${disk === "hdd" ? "a spinning disk" : `${disk === "san" ? "a SAN" : `an ${disk.toUpperCase()} drive`}`} serves well at once when a scan reads ahead.`,
          },
        ]
      : []),
    ...(version >= 12 && (workload === "web" || workload === "oltp" || workload === "mixed")
      ? [
          {
            name: "jit",
            value: "off",
            reason: `Compiling takes longer than the short queries of a workload like ${workload} run, and a wrong estimate starts it.`,
          },
        ]
      : []),
  ];
}

function randomPageCost({ dbSize, disk, workload }: TuneInput): { value: number; reason: string } {
  if (dbSize === "less_ram") {
    return {
      value: 1.1,
      reason:
        "The data fits in RAM, so a random page costs hardly more than the next one, whatever the disk.",
    };
  }
  if (disk === "hdd") {
    return { value: 4, reason: "A spinning disk must seek for each random page." };
  }
  if (workload === "olap") {
    return {
      value: 4,
      reason:
        "Data beyond RAM is read in bulk faster than page by page even here; a low cost would make the planner read large parts through indexes.",
    };
  }
  return {
    value: 1.1,
    reason: "This storage has no seek: a random page costs hardly more than the next one.",
  };
}
