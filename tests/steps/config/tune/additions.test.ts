import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { additions } from "../../../../steps/config/tune/additions.ts";
import type { Workload } from "../../../../steps/config/tune/input.ts";
import { pgtune } from "../../../../steps/config/tune/pgtune.ts";
import { GB } from "../../../../steps/config/tune/size.ts";
import { worstCaseMemory } from "../../../../steps/config/tune/worst-case.ts";
import { openBinaries } from "../../../../providers/nodes/embedded/binaries.ts";
import { ordinaryUser } from "../../../../providers/nodes/embedded/user.ts";
import { base, randomInputs, valuesOf } from "../support.ts";

const WORKLOADS: Workload[] = ["web", "oltp", "olap", "mixed", "desktop"];

describe("additions", () => {
  const inputs = randomInputs(1000);

  test("never repeat or contradict what PGTune sets", () => {
    for (const input of inputs) {
      const theirs = new Set(pgtune(input).map((s) => s.name));
      const ours = additions(input);
      expect(ours.filter((s) => theirs.has(s.name))).toEqual([]);
      expect(new Set(ours.map((s) => s.name)).size).toBe(ours.length);
    }
  });

  test("each has a reason and its entry in the manual", () => {
    for (const input of inputs) {
      for (const { name, reason, source } of additions(input)) {
        expect(reason).toMatch(/^[A-Z].{30,}\.$/);
        expect(source).toMatch(
          /^https:\/\/www\.postgresql\.org\/docs\/current\/runtime-config-[a-z]+\.html#GUC-[A-Z-]+$/,
        );
        expect(source).toEndWith(name.toUpperCase().replaceAll("_", "-"));
      }
    }
  });

  test("never raise the worst case", () => {
    for (const input of inputs) {
      const theirs = valuesOf(pgtune(input));
      const all = { ...theirs, ...valuesOf(additions(input)) };
      const bytes = (values: typeof all) =>
        worstCaseMemory(values, input.version, input.memoryKb).worst_case_bytes;
      expect(bytes(all)).toBeLessThanOrEqual(bytes(theirs));
    }
  });

  test("autovacuum workers share one maintenance_work_mem where PGTune gives each all of it", () => {
    const of = (memoryKb: number) =>
      valuesOf(additions({ ...base, cpus: 8, memoryKb }))["autovacuum_work_mem"];
    expect(of(16 * GB)).toBe("341MB");
    expect(of(2 * GB)).toBe("64MB");
    expect(of(GB)).toBeUndefined();
    expect(of(64 * GB)).toBeUndefined();
  });

  test("follow the disk, the version and the workload", () => {
    const of = (changes: Partial<typeof base>) => valuesOf(additions({ ...base, ...changes }));
    expect(of({ disk: "hdd" })["autovacuum_vacuum_cost_limit"]).toBeUndefined();
    expect(of({ disk: "nvme" })["autovacuum_vacuum_cost_limit"]).toBe(2000);
    expect(of({ version: 12 })["max_slot_wal_keep_size"]).toBeUndefined();
    expect(of({})["max_slot_wal_keep_size"]).toBe("32GB");
    expect(of({ workload: "olap" })["idle_in_transaction_session_timeout"]).toBe("1h");
    expect(of({ workload: "desktop" })["checkpoint_timeout"]).toBeUndefined();
    expect(of({ version: 14 })["log_checkpoints"]).toBe("on");
    expect(of({ version: 15 })["log_checkpoints"]).toBeUndefined();
  });
});

/** `postgres -C` reads postgresql.conf, refuses an unknown name or a value out of range, and exits before it needs a data directory. */
describe("real servers read every value", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "pgdba-tune-"));
    await writeFile(join(dir, "postgresql.auto.conf"), "");
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  const ask = async (
    version: number,
    conf: string,
  ): Promise<{ out: string; err: string; exit: number }> => {
    await writeFile(join(dir, "postgresql.conf"), conf);
    const { postgres } = await openBinaries(version, ordinaryUser());
    const child = Bun.spawn([postgres, "-C", "max_connections", "-D", dir], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err, exit] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { out: out.trim(), err, exit };
  };

  /** What a server's build lacks is a matter of its packager; the numbers are ours. */
  const portable = (name: string) => name !== "wal_compression" && name !== "io_method";

  for (const version of [13, 14, 15, 16, 17, 18]) {
    test(`PostgreSQL ${version}`, async () => {
      for (const workload of WORKLOADS) {
        const input = { ...base, version, workload, disk: "nvme" as const };
        const settings = [...pgtune(input), ...additions(input)].filter((s) => portable(s.name));
        const conf = settings.map(({ name, value }) => `${name} = '${value}'`).join("\n");
        const answer = await ask(version, conf);
        expect(answer.err).toBe("");
        expect(answer).toMatchObject({
          exit: 0,
          out: String(valuesOf(pgtune(input))["max_connections"]),
        });
      }
    });
  }

  test("and would refuse a wrong one", async () => {
    expect((await ask(18, "checkpoint_timeout = 15hours")).exit).not.toBe(0);
    expect((await ask(18, "max_slot_wal_keep = 1GB")).exit).not.toBe(0);
  });
});
