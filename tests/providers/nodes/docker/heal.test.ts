import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import heal from "../../../../providers/nodes/docker/node/heal.py" with { type: "text" };

const dir = mkdtempSync(join(tmpdir(), "pgdba-heal-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The healer as it is, of a fault of `seconds` that has `left` of it; gives how long before its deadline it acted, s. */
async function early(seconds: number, left: number): Promise<number> {
  const file = join(dir, crypto.randomUUID());
  const until = Date.now() / 1000 + left;
  const argv = ["sh", "-c", 'date +%s.%N >"$1"', "sh", file];
  const order = JSON.stringify({ act: "here", argv, seconds, until, again: 0 });
  const child = Bun.spawn(["python3", "-I", "-S", "-c", heal, order], { stdout: "ignore" });
  expect(await child.exited).toBe(0);
  return until - Number(readFileSync(file, "utf8"));
}

test.skipIf(Bun.which("python3") === null)(
  "where a healer took long to be started, it begins earlier, so that the fault is over by its deadline; by 5 s and a tenth of the fault's time at most",
  async () => {
    const [slow, short, quick, another] = await Promise.all([
      // The machine took 80 s to make and start it, and this test may take some more of what is left.
      early(100, 20),
      early(20, 15),
      early(3, 3),
      // By a clock that is another one's: nobody knows how long it took.
      early(2, 1000),
    ]);
    expect(slow).toBeGreaterThan(0);
    expect(slow).toBeLessThanOrEqual(5);
    expect(short).toBeLessThanOrEqual(2);
    expect(quick).toBeLessThanOrEqual(0.3);
    expect(another).toBeLessThanOrEqual(998);
    expect(another).toBeGreaterThan(900);
  },
  60_000,
);

/** A healer whose deadline is now: how it ends, what it says, and how often it has tried. `fails`: so often its program does. */
async function tried(again: number, fails: number) {
  const file = join(dir, crypto.randomUUID());
  const script = 'echo >>"$1"; [ "$(wc -l <"$1")" -gt "$2" ] || { echo not yet >&2; exit 9; }';
  const argv = ["sh", "-c", script, "sh", file, String(fails)];
  const times = { seconds: 0.1, until: Date.now() / 1000 + 0.1, again };
  const order = JSON.stringify({ act: "here", argv, ...times });
  const child = Bun.spawn(["python3", "-I", "-S", "-c", heal, order], {
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = (await new Response(child.stderr).text()).trim();
  const tries = readFileSync(file, "utf8").length;
  return { exit: await child.exited, said, tries };
}

test.skipIf(Bun.which("python3") === null)(
  "what fails at the deadline is tried again, for a time, and three times at least; what only looks is asked once",
  async () => {
    const [later, never, once] = await Promise.all([
      tried(60, 2),
      tried(0.001, 1000),
      tried(0, 1000),
    ]);
    expect(later).toEqual({ exit: 0, said: "", tries: 3 });
    expect(never).toEqual({ exit: 1, said: "not yet", tries: 3 });
    expect(once).toEqual({ exit: 1, said: "not yet", tries: 1 });
  },
  60_000,
);
