import { expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Batch, PgSession } from "../../../providers/postgres/session.ts";
import { readAnswers } from "../../../steps/report/collect/read.ts";

const limits = { timeoutMs: 1000, lockTimeoutMs: 1000, signal: new AbortController().signal };
const about = {
  user: "postgres",
  user_quoted: "postgres",
  version_num: 180000,
  role: "standby",
  monitor: true,
  extensions: [],
};
const failure = (sqlstate: string) =>
  new PgdbaError("query_failed", `cut off by ${sqlstate}`, { retryable: true, data: { sqlstate } });

/** A standby whose replay cuts off the statements with this text so many times, and the session with them. */
function standby(text: string, times: number, sqlstate = "40001") {
  let [left, sessions] = [times, 0];
  const open = () => {
    sessions++;
    let alive = true;
    const readBatch = (statements: readonly string[]): Promise<Batch> => {
      const cut = left > 0 ? statements.findIndex((sql) => sql.includes(text)) : -1;
      if (cut >= 0) [left, alive] = [left - 1, false];
      const ended = cut < 0 ? statements : statements.slice(0, cut);
      const columns = ended.map((sql) => [
        sql.includes("'extensions'") || sql.includes("as extensions")
          ? JSON.stringify([about])
          : "[]",
      ]);
      return Promise.resolve({ columns, error: cut < 0 ? null : failure(sqlstate) });
    };
    const session = { info: { version_num: 180000 }, readBatch, alive: () => alive };
    return Promise.resolve(session as unknown as PgSession);
  };
  return { open, sessions: () => sessions };
}

test("what replay on a standby cuts off is asked again, in another session where it ended that", async () => {
  for (const [text, sessions] of [
    ["as extensions", 4],
    ["pg_tablespace", 4],
  ] as const) {
    const server = standby(text, 2);
    const { missing, rows } = await readAnswers(server.open, limits);
    expect([text, missing, rows.has("tablespaces")]).toEqual([text, [], true]);
    expect([text, server.sessions()]).toEqual([text, sessions]);
  }
});

test("a section that is cut off each time is missing, and the others are there", async () => {
  const { open } = standby("pg_tablespace", 3);
  const { missing, rows } = await readAnswers(open, limits);
  expect(missing.map(({ section, reason }) => [section, reason])).toEqual([
    ["tablespaces", "cut off by 40001"],
  ]);
  expect(rows.has("databases")).toBe(true);
});

test("a session that is lost otherwise ends the report", async () => {
  const { open } = standby("pg_tablespace", 1, "57P01");
  const lost = await readAnswers(open, limits).catch((error: PgdbaError) => error.message);
  expect(lost).toBe("cut off by 57P01");
});
