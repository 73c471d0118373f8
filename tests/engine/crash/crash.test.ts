import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../../engine/types.ts";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "pgdba-crash-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Result {
  failpoints: number;
  exit: number;
  status: string;
  error: { code: string; step: string | null } | null;
}

/** Small seeded generator (mulberry32), so that a failure names the seed that makes it again. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const TYPES = ["act.once", "act.repeatable", "act.probed", "act.undoable", "act.read"];

/** A random runbook of acts, some in a block with `always`, some in a loop; every third one fails at its end. */
function runbook(seed: number): { data: JsonObject; fails: boolean } {
  const random = generator(seed);
  let n = 0;
  const action = (): JsonObject => ({
    id: `s${++n}`,
    [TYPES[Math.floor(random() * TYPES.length)]!]: {},
    ...(random() < 0.3 ? { foreach: [1, 2] } : {}),
  });
  const fails = seed % 3 === 0;
  const steps: JsonObject[] = Array.from({ length: 2 + Math.floor(random() * 2) }, action);
  steps.push({
    id: "guarded",
    block: [action(), action()],
    always: [{ id: "closing", "act.repeatable": {} }],
  });
  if (fails) steps.push({ id: "boom", "act.fail": {} });
  return { data: { summary: `seed ${seed}`, risk: "change", steps } as JsonObject, fails };
}

let dirs = 0;
function place(): { stateDir: string; effects: string } {
  const stateDir = join(root, String(++dirs));
  return { stateDir, effects: join(stateDir, "effects") };
}

async function drive(job: object): Promise<Result | undefined> {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "driver.ts"), JSON.stringify(job)],
    {
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  if (child.signalCode === "SIGKILL") return undefined;
  if (out === "") throw new Error(err);
  return JSON.parse(out) as Result;
}

function counts(file: string): Map<string, number> {
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
  const found = new Map<string, number>();
  for (const line of lines) found.set(line, (found.get(line) ?? 0) + 1);
  return found;
}

/** Types by step id, as the runbook wrote them. */
function typesOf(data: JsonObject): Map<string, string> {
  const out = new Map<string, string>();
  const walk = (steps: JsonObject[]): void => {
    for (const step of steps) {
      if (step["block"]) {
        walk(step["block"] as JsonObject[]);
        walk((step["always"] ?? []) as JsonObject[]);
      } else
        out.set(
          String(step["id"]),
          Object.keys(step).find((key) => key.startsWith("act."))!,
        );
    }
  };
  walk(data["steps"] as JsonObject[]);
  return out;
}

async function killAndResume(
  seed: number,
  data: JsonObject,
  clean: Map<string, number>,
  killAt: number,
  expected: Result,
) {
  const where = `seed ${seed}, killed at failpoint ${killAt}`;
  const { stateDir, effects } = place();
  const base = { stateDir, effects, data, killAt: 0, resume: false, assume: {} };
  const killed = await drive({ ...base, killAt });
  expect(killed, where).toBeUndefined();

  const types = typesOf(data);
  const once = [...types].filter(([, type]) => type === "act.once").map(([id]) => id);
  const isOnce = (path: string) => once.includes(path.split("/")[0]!);
  let result: Result;
  try {
    result = (await drive({ ...base, resume: true }))!;
  } catch (error) {
    // Killed before the run itself was on record: nothing can have happened.
    expect(counts(effects).size, `${where}: ${String(error)}`).toBe(0);
    return;
  }
  if (result.status === "needs_operator") {
    // Only what nothing can tell about may end here; a person looks and says what is so.
    const path = result.error!.step!;
    expect(isOnce(path), `${where}: ${path} is not for an operator`).toBe(true);
    expect(result.exit, where).toBe(6);
    const said = counts(effects).has(path) ? "done" : "not_done";
    result = (await drive({ ...base, resume: true, assume: { [path]: said } }))!;
  }
  expect(result.exit, where).toBe(expected.exit);
  const final = counts(effects);
  for (const [path, count] of final) {
    const undo = path.endsWith("~undo");
    if (!undo && (isOnce(path) || types.get(path.split("/")[0]!) === "act.probed")) {
      expect(count, `${where}: ${path} was repeated`).toBe(1);
    }
  }
  for (const path of clean.keys()) expect(final.has(path), `${where}: ${path} was lost`).toBe(true);
}

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`kill -9 at every failpoint, seed ${seed}`, async () => {
    const { data, fails } = runbook(seed);
    const { stateDir, effects } = place();
    const whole = (await drive({ stateDir, effects, data, killAt: 0, resume: false, assume: {} }))!;
    expect(whole.exit).toBe(
      fails ? ([...typesOf(data).values()].includes("act.undoable") ? 5 : 1) : 0,
    );
    const clean = counts(effects);
    expect(whole.failpoints).toBeGreaterThan(10);
    const points = Array.from({ length: whole.failpoints }, (_, index) => index + 1);
    // Two at a time: the machine has two cores.
    const worker = async (): Promise<void> => {
      for (let at = points.pop(); at !== undefined; at = points.pop()) {
        await killAndResume(seed, data, clean, at, whole);
      }
    };
    await Promise.all([worker(), worker()]);
  }, 60_000);
}
