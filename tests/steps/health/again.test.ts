import { expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Batch, PgSession } from "../../../providers/postgres/session.ts";
import type { Check } from "../../../steps/health/check/check.ts";
import type { Facts } from "../../../steps/health/examine/facts.ts";
import { again } from "../../../steps/sql/again.ts";
import { runChecks } from "../../../steps/health/examine/execute.ts";

const failure = (sqlstate: string) =>
  new PgdbaError("query_failed", sqlstate, { retryable: true, data: { sqlstate } });
const limits = { timeoutMs: 1000, lockTimeoutMs: 1000, signal: new AbortController().signal };

test("a check that replay cuts off each time is run three times, and the others all the same", async () => {
  const sizes: number[] = [];
  const readBatch = (statements: readonly string[]): Promise<Batch> => {
    sizes.push(statements.length);
    // Of what is left the first check fails as long as it is the one that always does.
    const cut = statements.findIndex((sql) => sql.includes("slow"));
    if (cut < 0) return Promise.resolve({ columns: statements.map(() => ["[]"]), error: null });
    const columns = statements.slice(0, cut).map(() => ["[]"]);
    return Promise.resolve({ columns, error: failure("40001") });
  };
  const checks = ["before", "slow", "after"].map(
    (name) => ({ name, sql: `select '${name}'`, shipped: true }) as unknown as Check,
  );
  const facts = { version: 18, extensions: {} } as unknown as Facts;
  const open = () => Promise.resolve({ readBatch } as unknown as PgSession);
  const results = await runChecks(open, checks, facts, limits);
  expect(results.map(({ check, error }) => [check.name, error?.message ?? null])).toEqual([
    ["before", null],
    ["slow", "40001"],
    ["after", null],
  ]);
  expect(sizes).toEqual([7, 5, 5, 3]);
});

test("what is no conflict is not asked again, and one that ends the session is", async () => {
  const asked = async (...errors: (PgdbaError | null)[]) => {
    let times = 0;
    const error = await again(async () => {
      const thrown = errors[times++];
      if (thrown) throw thrown;
    }).catch((thrown: PgdbaError) => thrown.message);
    return [times, error ?? null];
  };
  const lost = new PgdbaError("connection_failed", "lost", { retryable: true });
  expect(await asked(failure("40001"), lost, null)).toEqual([3, null]);
  expect(await asked(lost, null)).toEqual([1, "lost"]);
  expect(await asked(failure("57014"), null)).toEqual([1, "57014"]);
});
