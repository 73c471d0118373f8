import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { PgdbaError } from "../../../engine/errors.ts";
import { Bounds } from "../../../providers/postgres/bounds.ts";
import { sharedServer } from "../../support/postgres.ts";
import { type ConnectionSpec, openSession, type PgSession, specOf } from "./helpers.ts";
import { cpuMs } from "../../support/cpu-time.ts";

function message(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.write(type, "latin1");
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** A row of one column. */
function row(text: string): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(1);
  head.writeUInt32BE(text.length, 2);
  return message("D", Buffer.concat([head, Buffer.from(text)]));
}

const error = (text: string) =>
  message("E", Buffer.from(`SERROR\0VERROR\0C22023\0M${text}\0Dshort\0Rmain\0\0`));

function through(bytes: Buffer, chunk: number, maxRow = 1000): Buffer {
  const bounds = new Bounds("db1");
  bounds.maxRow = maxRow;
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunk)
    bounds.push(bytes.subarray(at, at + chunk), (part) => void out.push(Buffer.from(part)));
  return Buffer.concat(out);
}

describe("the bytes of a server, whatever pieces they come in", () => {
  const long = "é".repeat(10_000);
  const sent = Buffer.concat([
    message("1", Buffer.alloc(0)),
    row("kept"),
    row("x".repeat(2000)),
    row("kept too"),
    message("d", Buffer.from("copied data")),
    message("d", Buffer.from("more of it")),
    error("short"),
    error(long),
    message("A", Buffer.alloc(9000)),
    row("y".repeat(5000)),
    message("Z", Buffer.from("I")),
  ]);
  const noColumns = message("D", Buffer.from([0, 0]));
  const cut = Buffer.from(
    `SERROR\0VERROR\0C22023\0M${"é".repeat(4096)} … (cut: 20000 bytes)\0Dshort\0Rmain\0\0\0\0`,
  );
  const expected = Buffer.concat([
    message("1", Buffer.alloc(0)),
    row("kept"),
    noColumns,
    row("kept too"),
    message("d", Buffer.alloc(0)),
    error("short"),
    message("E", cut),
    noColumns,
    message("Z", Buffer.from("I")),
  ]);

  test.each([1, 2, 3, 4, 5, 6, 7, 64, 1000, 8192, sent.length])("pieces of %d bytes", (chunk) => {
    expect(through(sent, chunk).toString("latin1")).toBe(expected.toString("latin1"));
  });

  test("a character is not cut in half", () => {
    const odd = through(error(`x${long}`), 777).toString("utf8");
    expect(odd).toContain(`Mx${"é".repeat(4095)} … (cut: 20001 bytes)`);
    expect(odd).not.toContain("\ufffd");
  });

  test("an error of countless fields is no message for people: what is kept of it is bounded", () => {
    const body = Buffer.from(`${`M${"z".repeat(1000)}\0`.repeat(1000)}\0`);
    expect(through(message("E", body), 4096).length).toBeLessThan(70_000);
  });

  test("what is no message of PostgreSQL is refused by its first bytes", () => {
    for (const text of ["HTTP/1.1 400 Bad Request\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "E\0\0\0\0rest"])
      expect(() => through(Buffer.from(text), 1)).toThrow(
        "db1 does not speak PostgreSQL's protocol",
      );
  });
});

describe("a real server", () => {
  let spec: ConnectionSpec;
  let session: PgSession;
  beforeAll(async () => {
    spec = specOf(await sharedServer());
    session = await openSession(spec);
  });
  afterAll(() => session.close());
  const failure = (sql: string) =>
    session.query(sql).then(
      () => undefined,
      (thrown: PgdbaError) => thrown,
    );

  test("a first row that is too large is an error of its own, and the session goes on", async () => {
    expect(await failure("SELECT repeat('x', 17000000) AS text")).toMatchObject({
      code: "limit_exceeded",
      hint: expect.stringContaining("left("),
    });
    expect((await session.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    const read = { readOnly: true };
    const inside = session.transaction(read, (run) => run("SELECT repeat('x', 17000000)"));
    expect(await inside.catch((thrown) => thrown.code)).toBe("limit_exceeded");
  });

  test("a later one ends the result, which says so", async () => {
    const sql = `SELECT n, repeat('x', CASE n WHEN 3 THEN 17000000 ELSE 1 END) AS text
      FROM generate_series(1, 5) n`;
    expect(await session.query(sql)).toMatchObject({
      rows: [
        { n: 1, text: "x" },
        { n: 2, text: "x" },
      ],
      row_count: 2,
      truncated: true,
    });
  });

  test("large rows without end are not asked for by the thousand", async () => {
    const computed = cpuMs();
    const sql = "SELECT repeat('x', 3000000) FROM generate_series(1, 5000) n";
    const { rows, truncated } = await session.query(sql);
    expect([rows.length, truncated]).toEqual([5, true]);
    // A thousand would be 3 GB.
    expect(cpuMs() - computed).toBeLessThan(8000);
  });

  test("what a change gives back too large is dropped, and the change stands", async () => {
    await session.query("CREATE TEMP TABLE wide AS SELECT 1 AS n, repeat('x', 17000000) AS text");
    const changed = await session.query("UPDATE wide SET n = 2 RETURNING *", [], { drain: true });
    expect(changed).toMatchObject({ rows: [], row_count: 1, truncated: true, command: "UPDATE" });
    expect((await session.query("SELECT n FROM wide")).rows).toEqual([{ n: 2 }]);
  });

  test("messages, details and notices are cut, and say so", async () => {
    const raised = await failure(`DO $$ BEGIN
      RAISE NOTICE '%', repeat('n', 1000000);
      RAISE EXCEPTION '%', repeat('é', 5000000) USING DETAIL = repeat('d', 1000000), HINT = repeat('h', 1000000);
    END $$`);
    expect(raised!.message).toMatch(/^é{4096} … \(cut: 10000000 bytes\)$/);
    expect(raised!.hint).toMatch(/^h{8192} … \(cut: 1000000 bytes\)$/);
    expect(raised!.data).toMatchObject({
      sqlstate: "P0001",
      detail: expect.stringMatching(/^d{8192} … \(cut: 1000000 bytes\)$/),
    });
    expect(session.notices()[0]!.message).toMatch(/^n{8192} … \(cut: 1000000 bytes\)$/);
  });

  test("COPY TO STDOUT without end is ended", async () => {
    const started = performance.now();
    const sql = "COPY (SELECT repeat('x', 1000), generate_series(1, 100000000)) TO STDOUT";
    expect(await failure(sql)).toMatchObject({ code: "unsupported" });
    expect(performance.now() - started).toBeLessThan(30_000);
    expect((await session.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  });

  test("the request to end one statement never reaches the next", async () => {
    for (let round = 0; round < 20; round++) {
      expect(await failure("COPY (SELECT 1) TO STDOUT")).toMatchObject({ code: "unsupported" });
      expect((await session.query("SELECT pg_sleep(0.01), 1 AS one")).rows[0]!["one"]).toBe(1);
    }
  });

  test("a batch with a row that is too large is an error, and the session goes on", async () => {
    const { error: refused } = await session
      .readBatch(["SELECT 1", "SELECT repeat('x', 17000000)"], {})
      .catch((thrown) => ({ error: thrown as PgdbaError }));
    expect(refused).toMatchObject({ code: "limit_exceeded" });
    expect((await session.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  });

  test("none of it is kept in memory", async () => {
    // In a process of its own: the test runner's memory is not ours to judge.
    const at = (file: string) => JSON.stringify(join(import.meta.dir, "../../..", file));
    const script = `
      const { peakMemory } = await import(${at("tests/support/peak-memory.ts")});
      const { openSession } = await import(${at("providers/postgres/session.ts")});
      const session = await openSession({ ...${JSON.stringify(spec)}, password: () => ${JSON.stringify(spec.password?.())} });
      await session.query("SELECT repeat('x', 1000)");
      const before = peakMemory();
      const codes = [];
      for (const sql of [
        "SELECT repeat('x', 150000000)",
        "SELECT repeat('x', 1000000), generate_series(1, 150)",
        "DO $$ BEGIN RAISE EXCEPTION '%', repeat('x', 30000000); END $$",
        "COPY (SELECT repeat('x', 100000), generate_series(1, 1000)) TO STDOUT",
      ]) codes.push(await session.query(sql).then(({ truncated }) => truncated, (error) => error.code));
      await session.close();
      console.log(JSON.stringify({ codes, grown: peakMemory() - before }));`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const { codes, grown } = (await new Response(child.stdout).json()) as {
      codes: unknown[];
      grown: number;
    };
    expect(codes).toEqual(["limit_exceeded", true, "query_failed", "unsupported"]);
    // In kB. What the garbage collector has not yet come to is part of it.
    expect(grown).toBeLessThan(100 * 1024);
  }, 300_000);
});

test("a web server in its place is told apart at once", async () => {
  const server: Server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
  }).listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address() as { port: number };
  const spec: ConnectionSpec = {
    host: "127.0.0.1",
    port,
    user: "u",
    database: "d",
    sslmode: "disable",
    application_name: "pgdba-test",
  };
  const refused = await openSession(spec).catch((thrown) => thrown);
  server.close();
  expect(refused).toMatchObject({
    code: "connection_failed",
    message: `u@127.0.0.1:${port}/d does not speak PostgreSQL's protocol`,
  });
});
