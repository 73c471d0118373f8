import { describe, expect, test } from "bun:test";
import { GB, MB } from "../../../../steps/config/tune/size.ts";
import { worstCaseMemory } from "../../../../steps/config/tune/worst-case.ts";

const values = {
  shared_buffers: "16GB",
  wal_buffers: "16MB",
  max_connections: 300,
  work_mem: "17476kB",
  max_parallel_workers: 16,
  autovacuum_max_workers: 4,
  autovacuum_work_mem: "2GB",
  maintenance_work_mem: "4GB",
};

const part = (worst: ReturnType<typeof worstCaseMemory>, name: string) =>
  worst.parts.find((p) => p.name === name);

describe("worstCaseMemory", () => {
  test("adds what can be in use at once", () => {
    const worst = worstCaseMemory(values, 18, 64 * GB);
    expect(part(worst, "sessions")).toEqual({
      name: "sessions",
      formula: "300 × (10MB + 17476kB × 2)",
      bytes: 300 * (10 * MB + 17476 * 2) * 1024,
    });
    expect(part(worst, "parallel_workers")?.bytes).toBe(16 * (10 * MB + 17476 * 2) * 1024);
    expect(part(worst, "autovacuum")?.bytes).toBe(4 * (10 * MB + 2 * GB) * 1024);
    expect(part(worst, "maintenance")?.bytes).toBe(4 * GB * 1024);
    expect(worst.worst_case_bytes).toBe(worst.parts.reduce((sum, p) => sum + p.bytes, 0));
    expect(worst).toMatchObject({ fits: true, ram_bytes: 64 * GB * 1024 });
  });

  test("says when it does not fit", () => {
    const worst = worstCaseMemory({ ...values, max_connections: 2000 }, 18, 64 * GB);
    expect(worst.fits).toBe(false);
    expect(worst.share).toBeGreaterThan(1);
  });

  test("a hash takes work_mem twice from 15, once before", () => {
    expect(part(worstCaseMemory(values, 14, GB), "sessions")?.formula).toBe(
      "300 × (10MB + 17476kB × 1)",
    );
    expect(
      part(worstCaseMemory({ ...values, hash_mem_multiplier: 1.5 }, 18, GB), "sessions")?.formula,
    ).toEndWith("× 1.5)");
  });

  test("VACUUM takes at most 1GB before 17, and maintenance_work_mem where nothing else is said", () => {
    const { autovacuum_work_mem: _, ...plain } = values;
    expect(part(worstCaseMemory(plain, 16, GB), "autovacuum")?.formula).toBe("4 × (10MB + 1GB)");
    expect(part(worstCaseMemory(plain, 17, GB), "autovacuum")?.formula).toBe("4 × (10MB + 4GB)");
  });

  test("counts PostgreSQL's defaults for what is not set", () => {
    const worst = worstCaseMemory({}, 18, 16 * GB);
    expect(worst.parts.map((p) => p.formula)).toEqual([
      "128MB",
      "4MB",
      "100 × (10MB + 4MB × 2)",
      "8 × (10MB + 4MB × 2)",
      "3 × (10MB + 64MB)",
      "64MB",
    ]);
  });
});
