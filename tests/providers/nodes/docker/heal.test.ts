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
  const order = JSON.stringify({ act: "here", argv, seconds, until });
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
