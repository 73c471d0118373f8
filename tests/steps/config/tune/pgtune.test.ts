import { describe, expect, test } from "bun:test";
import { pgtune } from "../../../../steps/config/tune/pgtune.ts";
import { GB, MB, parseKb } from "../../../../steps/config/tune/size.ts";
import { base, randomInputs, valuesOf, vectors } from "../support.ts";

const kb = (value: string | number | undefined): number => parseKb(String(value));

describe("PGTune's own answers", () => {
  test("there are 140 of them", () => expect(vectors).toHaveLength(140));
  for (const { label, input, expected } of vectors) {
    test(label, () => expect(valuesOf(pgtune(input))).toEqual(expected));
  }
});

/** Beyond the vectors: rules read in PGTune's source, each at its edges. */
describe("rules at their edges", () => {
  const of = (changes: Partial<typeof base>) => valuesOf(pgtune({ ...base, ...changes }));

  test("jit needs 12, parallel maintenance 11, lz4 15, asynchronous I/O 18", () => {
    const by = (version: number) => of({ version });
    expect([11, 12].map((v) => by(v)["jit"])).toEqual([undefined, "off"]);
    expect([10, 11].map((v) => by(v)["max_parallel_maintenance_workers"])).toEqual([undefined, 4]);
    expect([10, 14, 15].map((v) => by(v)["wal_compression"])).toEqual(["on", "on", "lz4"]);
    expect([17, 18].map((v) => by(v)["io_method"])).toEqual([undefined, "io_uring"]);
  });

  test("parallel query from 4 CPUs, half per gather, no more than 4 but for analytics", () => {
    expect(of({ cpus: 3 })["max_worker_processes"]).toBeUndefined();
    expect(of({ cpus: 4 })["max_worker_processes"]).toBe(4);
    expect(of({ cpus: 5 })["max_parallel_workers_per_gather"]).toBe(3);
    expect(of({ cpus: 31 })["max_parallel_workers_per_gather"]).toBe(4);
    expect(of({ cpus: 31, workload: "olap" })["max_parallel_workers_per_gather"]).toBe(16);
    expect(of({ cpus: 31, workload: "olap" })["max_parallel_maintenance_workers"]).toBe(4);
  });

  test("autovacuum workers at 16 and 32 CPUs", () => {
    expect([null, 15, 16, 31, 32].map((cpus) => of({ cpus })["autovacuum_max_workers"])).toEqual([
      undefined,
      undefined,
      4,
      4,
      5,
    ]);
  });

  test("I/O workers only where workers do the I/O: a quarter of the CPUs, more than 3, at most 32", () => {
    const workers = (cpus: number | null) => of({ os: "mac", cpus })["io_workers"];
    expect([null, 8, 15, 16, 64, 256].map(workers)).toEqual([
      undefined,
      undefined,
      undefined,
      4,
      16,
      32,
    ]);
    expect(of({ os: "linux", cpus: 64 })["io_workers"]).toBeUndefined();
    expect(of({ os: "mac", cpus: 64, version: 17 })["io_workers"]).toBeUndefined();
  });

  test("Windows up to 17 stays below 2GB", () => {
    const windows = {
      os: "windows",
      version: 17,
      memoryKb: 256 * GB,
      connections: 20,
      cpus: 4,
      workload: "web",
    } as const;
    expect(of(windows)).toMatchObject({ work_mem: "2047MB", maintenance_work_mem: "2047MB" });
    expect(of(windows)["autovacuum_work_mem"]).toBeUndefined();
    expect(of({ ...windows, version: 18 })).toMatchObject({
      work_mem: "2796202kB",
      maintenance_work_mem: "8GB",
      autovacuum_work_mem: "2GB",
    });
    // Just below the limit the plain share stays.
    expect(of({ ...windows, memoryKb: 32 * GB - 16 })["maintenance_work_mem"]).toBe("2097151kB");
  });

  test("maintenance_work_mem: 8GB at most; autovacuum kept to 2GB from there on", () => {
    expect(of({ memoryKb: 32 * GB - 16 })["autovacuum_work_mem"]).toBeUndefined();
    expect(of({ memoryKb: 32 * GB })).toMatchObject({
      maintenance_work_mem: "2GB",
      autovacuum_work_mem: "2GB",
    });
    expect(of({ memoryKb: 16 * GB, workload: "olap" })).toMatchObject({
      maintenance_work_mem: "2GB",
      autovacuum_work_mem: "2GB",
    });
    expect(of({ memoryKb: 1024 * GB })["maintenance_work_mem"]).toBe("8GB");
  });

  test("huge pages from 2GB of shared_buffers, never on macOS", () => {
    expect(of({ memoryKb: 8 * GB - 4 })["huge_pages"]).toBe("off");
    expect(of({ memoryKb: 8 * GB })["huge_pages"]).toBe("try");
    expect(of({ memoryKb: 31 * GB, workload: "desktop" })["huge_pages"]).toBe("off");
    expect(of({ os: "mac" })["huge_pages"]).toBe("off");
  });

  test("wal_buffers: 32kB at least, a full segment from above 14MB", () => {
    expect(of({ memoryKb: MB })["wal_buffers"]).toBe("32kB");
    // 3 % of 477867kB is exactly 14MB, of 477901kB one kB more.
    expect(of({ memoryKb: 477_867 * 4 })["wal_buffers"]).toBe("14MB");
    expect(of({ memoryKb: 477_901 * 4 })["wal_buffers"]).toBe("16MB");
  });

  test("random_page_cost: data in RAM first, then the disk, then analytics", () => {
    expect(of({ disk: "hdd", dbSize: "less_ram", workload: "olap" })["random_page_cost"]).toBe(1.1);
    expect(of({ disk: "hdd" })["random_page_cost"]).toBe(4);
    expect(of({ disk: "nvme", workload: "olap" })["random_page_cost"]).toBe(4);
    expect(of({ disk: "san" })["random_page_cost"]).toBe(1.1);
  });

  test("work_mem: 4MB at least, by size of the data, eight workers without a CPU count", () => {
    expect(of({ connections: 9999, memoryKb: 4 * GB })["work_mem"]).toBe("4MB");
    const even = (48 * GB) / ((300 + 16) * 3);
    expect(kb(of({})["work_mem"])).toBe(Math.floor(even));
    expect(kb(of({ dbSize: "less_ram" })["work_mem"])).toBe(Math.floor(Math.floor(even) * 1.3));
    expect(kb(of({ dbSize: "greater_ram" })["work_mem"])).toBe(Math.floor(Math.floor(even) * 0.9));
    expect(of({ cpus: null })["work_mem"]).toBe(of({ cpus: 3 })["work_mem"]!);
    expect(kb(of({ cpus: 3 })["work_mem"])).toBe(Math.floor((48 * GB) / ((300 + 8) * 3)));
  });
});

describe("any machine", () => {
  const inputs = randomInputs(2000);

  test("values stay within their bounds", () => {
    for (const input of inputs) {
      const got = valuesOf(pgtune(input));
      expect(kb(got["shared_buffers"])).toBeLessThanOrEqual(input.memoryKb / 4);
      expect(kb(got["effective_cache_size"])).toBeLessThanOrEqual((input.memoryKb * 3) / 4);
      expect(kb(got["maintenance_work_mem"])).toBeLessThanOrEqual(8 * GB);
      expect(kb(got["work_mem"])).toBeGreaterThanOrEqual(4 * MB);
      expect(kb(got["wal_buffers"])).toBeWithin(32, 16 * MB + 1);
      expect(kb(got["min_wal_size"])).toBeLessThan(kb(got["max_wal_size"]));
      if (input.os === "windows" && input.version <= 17) {
        expect(kb(got["work_mem"])).toBeLessThan(2 * GB);
        expect(kb(got["maintenance_work_mem"])).toBeLessThan(2 * GB);
      }
    }
  });

  test("more RAM never gives less of any memory setting, more connections never more work_mem", () => {
    for (const input of inputs) {
      const less = valuesOf(pgtune(input));
      const more = valuesOf(pgtune({ ...input, memoryKb: input.memoryKb * 2 }));
      for (const name of ["shared_buffers", "effective_cache_size", "work_mem", "wal_buffers"]) {
        expect(kb(more[name])).toBeGreaterThanOrEqual(kb(less[name]));
      }
      const crowd = valuesOf(
        pgtune({ ...input, connections: (Number(less["max_connections"]) || 1) * 2 }),
      );
      expect(kb(crowd["work_mem"])).toBeLessThanOrEqual(kb(less["work_mem"]));
    }
  });

  test("each setting stands once and has a reason of its own", () => {
    for (const input of inputs) {
      const settings = pgtune(input);
      expect(new Set(settings.map((s) => s.name)).size).toBe(settings.length);
      expect(new Set(settings.map((s) => s.reason)).size).toBe(settings.length);
      for (const { reason } of settings) expect(reason).toMatch(/^[A-Z0-9].{30,}\.$/);
    }
  });
});
