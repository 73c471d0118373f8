/** Who led before, where no run is named. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import before from "../../../steps/failover/before.ts";
import { fakeContext } from "../../support/context.ts";

const stateDir = mkdtempSync(join(tmpdir(), "pgdba-before-"));
afterAll(() => rmSync(stateDir, { recursive: true, force: true }));

mkdirSync(join(stateDir, "moves"));
const kept = (run: string, identity: string, from: string | null, to: string, at: string): void =>
  writeFileSync(
    join(stateDir, "moves", `${run}.json`),
    JSON.stringify({ run, target: "ha", identity, from, to, at }),
  );
kept("20260101-000000-aaaaaa", "one", "pg2", "pg3", "2026-01-01T00:00:00Z");
kept("20260102-000000-bbbbbb", "one", "pg1", "pg2", "2026-01-02T00:00:00Z");
kept("20260103-000000-cccccc", "two", "pg3", "pg2", "2026-01-03T00:00:00Z");

async function told(leader: string, lines: [string | null, string | null][], identity = "one") {
  const ctx = fakeContext({ run: { id: "r", stateDir } });
  const client = {
    cluster: async () => ({ leader, members: ["pg1", "pg2", "pg3"].map((name) => ({ name })) }),
    history: async () => lines.map(([led, at]) => ({ leader: led, at })),
  };
  Object.assign(ctx, { use: async () => client });
  Object.assign(ctx.target, { facts: async () => ({ identity }) });
  return before.run(ctx, {} as never).then(
    ({ member }: any) => member,
    (error) => error.code,
  );
}

test.each([
  [
    "the history, where it has two moves",
    "pg2",
    [
      ["pg3", "2026-01-01T00:00:00Z"],
      ["pg2", "2026-01-02T00:00:10Z"],
    ],
    "pg3",
  ],
  ["the run that was the first to move it", "pg2", [["pg2", "2026-01-02T00:00:10Z"]], "pg1"],
  [
    "a run of just now, which the history has not yet",
    "pg2",
    [["pg1", "2026-01-01T23:00:00Z"]],
    "pg1",
  ],
  [
    "a run, where Patroni did not see who led",
    "pg2",
    [
      [null, null],
      ["pg2", "2026-01-02T00:00:10Z"],
    ],
    "pg1",
  ],
  [
    "nobody, where another move came after the run",
    "pg2",
    [["pg3", "2026-01-05T00:00:00Z"]],
    "step_refused",
  ],
  [
    "nobody, where another leads than the run has made",
    "pg3",
    [["pg3", "2026-01-02T00:00:10Z"]],
    "step_refused",
  ],
] as [string, string, [string | null, string | null][], string][])(
  "who led before tells %s",
  async (_, leader, lines, member) => {
    expect(await told(leader, lines)).toBe(member);
  },
);

test("moves of another cluster tell nothing", async () => {
  const lines: [string, string][] = [["pg2", "2026-01-02T00:00:10Z"]];
  expect([await told("pg2", lines, "two"), await told("pg2", lines, "three")]).toEqual([
    "pg3",
    "step_refused",
  ]);
});
