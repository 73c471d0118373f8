import { describe, expect, test } from "bun:test";
import { Ajv } from "ajv";
import type { PgdbaError } from "../../../engine/errors.ts";
import type { Json } from "../../../engine/types.ts";
import tune from "../../../steps/config/tune.ts";
import { fakeContext } from "../../support/context.ts";
import { vectors } from "./support.ts";

const ajv = new Ajv({ strict: false, allErrors: true });
const validInput = ajv.compile(tune.input);
const validOutput = ajv.compile(tune.output);

type Output = {
  settings: Record<
    string,
    { value: string | number; reason: string; source: string; addition: boolean }
  >;
  inputs: Record<string, { value: string | number | null; source: string }>;
  memory: { fits: boolean; worst_case_bytes: number; ram_bytes: number };
  warnings: string[];
};

const context = fakeContext();

async function run(input: Record<string, Json>): Promise<Output> {
  expect(validInput(input)).toBe(true);
  const output: Output = await tune.run(context, input as never);
  validOutput(output);
  expect(validOutput.errors).toBeNull();
  return output;
}

const given = { workload: "oltp", memory: "64GB", cpus: 16, disk: "ssd", pg_version: 18 };

describe("config.tune", () => {
  test("pgtune_only is PGTune and nothing else, for every vector", async () => {
    for (const { input, expected } of vectors) {
      const { settings } = await run({
        workload: input.workload,
        memory: `${input.memoryKb}kB`,
        cpus: input.cpus,
        connections: input.connections,
        disk: input.disk,
        db_size: input.dbSize,
        pg_version: input.version,
        os: input.os,
        pgtune_only: true,
      });
      expect(
        Object.fromEntries(Object.entries(settings).map(([name, s]) => [name, s.value])),
      ).toEqual(expected);
      expect(
        Object.values(settings).every((s) => !s.addition && s.source.startsWith("PGTune")),
      ).toBe(true);
    }
  });

  test("marks what it adds", async () => {
    const { settings } = await run(given);
    expect(settings["shared_buffers"]).toMatchObject({ value: "16GB", addition: false });
    expect(settings["max_slot_wal_keep_size"]).toMatchObject({ value: "32GB", addition: true });
    const { settings: plain } = await run({ ...given, pgtune_only: true });
    const added = Object.keys(settings).filter((name) => !(name in plain));
    expect(added.length).toBeGreaterThan(8);
    for (const name of added) expect(settings[name]?.addition).toBe(true);
  });

  test("says what was given and what was assumed; null is not given", async () => {
    const { inputs } = await run({ ...given, os: null, connections: null });
    expect(inputs).toEqual({
      workload: { value: "oltp", source: "given" },
      memory: { value: "64GB", source: "given" },
      cpus: { value: 16, source: "given" },
      disk: { value: "ssd", source: "given" },
      db_size: { value: "mid_ram", source: "default" },
      connections: { value: 300, source: "default" },
      pg_version: { value: 18, source: "given" },
      os: { value: "linux", source: "default" },
    });
  });

  test("without memory and version, names both", async () => {
    const failure = (await tune
      .run(context, { workload: "oltp" })
      .catch((error) => error)) as PgdbaError;
    expect(failure).toMatchObject({
      code: "invalid_param",
      data: { missing: ["memory", "pg_version"] },
    });
    expect(failure.hint).toContain("--memory 64GB --pg-version 18");
    const one = (await tune
      .run(context, { workload: "oltp", memory: "1GB" })
      .catch((error) => error)) as PgdbaError;
    expect(one).toMatchObject({ code: "invalid_param", data: { missing: ["pg_version"] } });
  });

  test("refuses memory in which no server runs: a forgotten unit", async () => {
    expect(tune.run(context, { ...given, memory: "64" })).rejects.toMatchObject({
      code: "invalid_param",
      message: expect.stringContaining("memory is 64,"),
    });
  });

  test("refuses what the schema does not know", () => {
    expect(validInput({ ...given, workload: "dw" })).toBe(false);
    expect(validInput({ ...given, pg_version: 9 })).toBe(false);
    expect(validInput({ ...given, cpu: 4 })).toBe(false);
  });

  test("connections that a version can do with are not warned of; sizes without units where it knows none", async () => {
    for (const [connections, pg_version] of [
      [4, 18],
      [12, 10],
      [14, 11],
      [5, 12],
    ]) {
      const { warnings } = await run({
        ...given,
        connections: connections!,
        pg_version: pg_version!,
      });
      expect(warnings.filter((text) => text.includes("does not start with max_c"))).toEqual([]);
    }
    const of = async (pg_version: number) =>
      (await run({ ...given, pg_version })).settings["track_activity_query_size"]?.value;
    expect([await of(10), await of(11)]).toEqual([4096, "4kB"]);
  });

  test("a usual machine fits and is warned only of what its build must have", async () => {
    const { memory, warnings } = await run(given);
    expect(memory.fits).toBe(true);
    expect(memory.worst_case_bytes).toBeLessThan(memory.ram_bytes);
    expect(warnings.map((text) => text.split(" ")[0])).toEqual(["wal_compression", "io_method"]);
  });

  test.each([
    [
      "too many sessions",
      { connections: 5000, memory: "16GB" },
      /worst case this needs [\d.]+GB of 16GB RAM/,
    ],
    ["sessions as the largest part", { connections: 5000, memory: "16GB" }, /for sessions: put a/],
    [
      "parallel workers as the largest part",
      { workload: "olap", connections: 5, cpus: 512, memory: "8GB" },
      /most of it, [\d.]+GB, for 512 parallel workers: lower max_parallel_workers/,
    ],
    ["too few connections", { connections: 3 }, /superuser_reserved_connections is 3.* Give 4 /],
    [
      "too few connections on 10",
      { connections: 5, pg_version: 10 },
      /max_wal_senders is 10.* Give 11 /,
    ],
    ["too few connections on 11", { connections: 12, pg_version: 11 }, /more than 13.* Give 14 /],
    [
      "more processes than there may be",
      { connections: 262143 },
      /262143 processes.* Give 262099 connections or fewer/,
    ],
    ["little RAM", { memory: "128MB" }, /less than 256MB/],
    ["much RAM", { memory: "256GB" }, /more than 100GB/],
    ["no CPU count", { cpus: null }, /number of CPUs/],
    ["a later version", { pg_version: 19 }, /19 is treated like 18/],
    ["a desktop", { workload: "desktop" }, /wal_level = minimal/],
    [
      "more RAM than shared_buffers can take",
      { memory: "64TB" },
      /shared_buffers = 16384GB is more than PostgreSQL accepts/,
    ],
  ] as [string, Record<string, Json>, RegExp][])("warns of %s", async (_, changes, expected) => {
    const { warnings } = await run({ ...given, ...changes });
    expect(warnings.filter((text) => expected.test(text))).toHaveLength(1);
    expect((await run(given)).warnings.filter((text) => expected.test(text))).toEqual([]);
  });
});
