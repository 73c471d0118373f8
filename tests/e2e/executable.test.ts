/** One executable of pgdba, for machines that have nothing else of it: PgBouncer's containers. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Env, envelopeOf, type Place, place, removePlaces } from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const LAUNCHER = join(import.meta.dir, "../../engine/pgdba");
let p: Place;
let executable: string;

function compile(file: string, target?: string, env: Env = {}) {
  const option = target === undefined ? [] : ["--target", target];
  const ran = Bun.spawnSync([LAUNCHER, "--build", "--compile", file, ...option], {
    cwd: p.cwd,
    env: { ...p.env, ...env },
  });
  return { exit: ran.exitCode, stderr: ran.stderr.toString() };
}

beforeAll(() => {
  p = place();
  executable = join(p.root, "pgdba");
  expect(compile(executable)).toEqual({ exit: 0, stderr: "" });
});

function run(...args: string[]) {
  const ran = Bun.spawnSync([executable, ...args], { cwd: "/", env: p.env });
  return envelopeOf(ran.stdout.toString(), ran.stderr.toString());
}

test("it holds the runbooks that it lists, and runs them", () => {
  const { runbooks } = run("list", "--full").data as { runbooks: { name: string }[] };
  expect(runbooks.map(({ name }) => name)).toContain("pgbouncer/follow");
  expect(run("lint").data).toMatchObject({ errors: 0 });
  // The runbook was read and its step began: it is the step that misses its file.
  expect(run("run", "pgbouncer/follow", "/nonexistent/follow.json").error).toMatchObject({
    code: "invalid_config",
    step: "follow",
    message: "/nonexistent/follow.json does not exist",
  });
});

/** Of an ELF file: its machine is at byte 18. */
const machineOf = (file: string) => readFileSync(file).readUInt16LE(18);
const AARCH64 = 183;

test("it is made for another processor, or says what is missing for that", () => {
  const file = join(p.root, "pgdba-arm64");
  const { exit, stderr } = compile(file, "linux-arm64");
  if (exit === 0) return expect(machineOf(file)).toBe(AARCH64);
  expect(stderr).toContain("bun for linux-arm64 is fetched from npm's registry, once");
});

test.skipIf(process.arch === "arm64")(
  "without a network it is not made for another processor",
  () => {
    const env = { HOME: join(p.root, "bare"), https_proxy: "http://127.0.0.1:1" };
    const { exit, stderr } = compile(join(p.root, "pgdba-none"), "linux-arm64", env);
    expect({ exit, stderr }).toEqual({
      exit: 1,
      stderr: expect.stringMatching(
        /^Failed to download .*\nbun for linux-arm64 is fetched from npm's registry, once: see that this machine reaches it, or compile on a linux-arm64 machine\.\n$/,
      ) as never,
    });
  },
);

test("a target that there is not", () => {
  expect(compile(join(p.root, "pgdba-none"), "linux-mips")).toEqual({
    exit: 2,
    stderr: "There is no target linux-mips. Use linux-x64 or linux-arm64.\n",
  });
});

/** Of the fastest of some calls: a busy machine makes others longer, but none shorter. */
function cpuOf(program: string, ...args: string[]): number {
  const times = Array.from({ length: 6 }, () => {
    const { resourceUsage } = Bun.spawnSync([program, ...args], { cwd: "/", env: p.env });
    return Number(resourceUsage.cpuTime.total);
  });
  return Math.min(...times);
}

test("PostgreSQL calls it for each segment of WAL: then it loads what it needs, and not all of it", () => {
  expect(cpuOf(executable, "wal", "push")).toBeLessThan(2 * cpuOf(LAUNCHER, "wal", "push"));
});
