import type {
  DbSize,
  Disk,
  Os,
  Recommendation,
  TuneInput,
  Workload,
} from "../../../steps/config/tune/input.ts";
import { GB, MB, parseKb } from "../../../steps/config/tune/size.ts";
import cases from "./pgtune-vectors.json";

export type Values = Record<string, string | number>;

/** Inputs put through PGTune's own functions, with what it would print. */
export const vectors = cases.map(({ input, expected }, i) => ({
  label: `${i}: ${input.dbType} on ${input.osType}, ${input.totalMemory}${input.totalMemoryUnit}, ${input.cpuNum ?? "?"} CPUs, PostgreSQL ${input.dbVersion}`,
  input: {
    version: input.dbVersion,
    os: input.osType as Os,
    workload: (input.dbType === "dw" ? "olap" : input.dbType) as Workload,
    memoryKb: parseKb(`${input.totalMemory}${input.totalMemoryUnit}`),
    cpus: input.cpuNum,
    connections: input.connectionNum,
    disk: input.hdType as Disk,
    dbSize: input.dbSize as DbSize,
  } satisfies TuneInput,
  expected: expected as unknown as Values,
}));

export const base: TuneInput = {
  version: 18,
  os: "linux",
  workload: "oltp",
  memoryKb: 64 * GB,
  cpus: 16,
  connections: null,
  disk: "ssd",
  dbSize: "mid_ram",
};

export const valuesOf = (settings: Recommendation[]): Values =>
  Object.fromEntries(settings.map(({ name, value }) => [name, value]));

/** The same machines on every run: a linear congruential sequence (Numerical Recipes' constants). */
export function randomInputs(count: number): TuneInput[] {
  let state = 20260722;
  const below = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const pick = <T>(...from: T[]): T => from[below(from.length)]!;
  return Array.from({ length: count }, () => ({
    version: 10 + below(10),
    os: pick<Os>("linux", "windows", "mac"),
    workload: pick<Workload>("web", "oltp", "olap", "mixed", "desktop"),
    memoryKb: Math.floor(16 * MB * 2 ** (below(1700) / 100)),
    cpus: pick(null, 1 + below(8), 1 + below(512)),
    connections: pick(null, 1 + below(50), 1 + below(5000)),
    disk: pick<Disk>("ssd", "hdd", "nvme", "san"),
    dbSize: pick<DbSize>("less_ram", "mid_ram", "greater_ram"),
  }));
}
