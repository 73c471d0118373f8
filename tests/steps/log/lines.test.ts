import { expect, test } from "bun:test";
import { csvEntries } from "../../../steps/log/lines/csv.ts";
import { isAtLeast, NOTHING } from "../../../steps/log/lines/entry.ts";
import { jsonEntries } from "../../../steps/log/lines/json.ts";
import { masked } from "../../../steps/log/lines/masked.ts";
import { stderrEntries } from "../../../steps/log/lines/stderr.ts";
import { readerOf } from "../../../steps/log/lines/when.ts";

test.each([
  ["%m [%p] ", "2026-02-22 10:00:00.123 UTC [7] ", { pid: 7, at: "2026-02-22 10:00:00.123 UTC" }],
  [
    "%t:%r:%u@%d:[%p]: ",
    "2026-02-22 10:00:00 CET:10.0.0.1(5):bob@shop:[7]: ",
    { role: "bob", database: "shop", pid: 7 },
  ],
  ["<%-8u|%e> %p%% ", "<bob     |42P01> 7% ", { role: "bob", sqlstate: "42P01", pid: 7 }],
  ["%m [%p] %q%u@%d/%a ", "2026-02-22 10:00:00.123 UTC [7] ", { pid: 7, role: null }],
  ["%n ", "1771754400.123 ", { at: "1771754400.123" }],
  ["", "", { pid: null }],
])("a log with the prefix %j is read", (prefix, head, parts) => {
  const text = `cut off\n\tas well\n${head}ERROR:  one: two\n\tthree\n${head}DETAIL:  more\n${head}STATEMENT:  select\n\t 1\n${head}LOG:  next\n`;
  const [first, second, ...rest] = stderrEntries(text, prefix);
  expect(first).toMatchObject({ severity: "ERROR", message: "one: two\nthree", ...parts });
  expect(first).toMatchObject({ detail: "more", statement: "select\n 1" });
  expect([second?.message, rest.length]).toEqual(["next", 0]);
});

test("parts of entries of several processes that are mixed go to their own", () => {
  const lines = [
    "[1] ERROR:  a",
    "[2] ERROR:  b",
    "[1] DETAIL:  of a",
    "[2] HINT:  of b",
    "[3] DETAIL:  of none",
  ];
  const [a, b, none] = stderrEntries(lines.join("\n"), "[%p] ");
  expect([a?.detail, b?.hint, none?.message]).toEqual(["of a", "of b", "of none"]);
});

test("of csvlog and jsonlog what is cut at its beginning or its end is passed over", () => {
  const row = (message: string) =>
    `2026-02-22 10:00:00.123 UTC,"bob","shop",7,"a:1",x.1,1,"idle",2026-02-22 09:00:00 UTC,1/1,0,ERROR,42P01,${message},,,,,,"select ""x""",8,,"app","client backend",,0\n`;
  const text = `of before",,,\n${row('"one, ""two""\nthree"')}${row('"four"')}${row('"cut"').slice(0, 90)}`;
  expect(csvEntries(text)).toMatchObject([
    {
      message: 'one, "two"\nthree',
      statement: 'select "x"',
      application: "app",
      pid: 7,
      sqlstate: "42P01",
    },
    { message: "four", backend: "client backend" },
  ]);
  const long = "a, b\n".repeat(500_000);
  expect(csvEntries(row(`"${long}"`)).map(({ message }) => message)).toEqual([long]);
  const line = JSON.stringify({
    timestamp: "t",
    pid: 7,
    error_severity: "LOG",
    message: "one\ntwo",
  });
  expect(jsonEntries(`${line.slice(20)}\n${line}\n${line.slice(0, 30)}`)).toMatchObject([
    { message: "one\ntwo", pid: 7 },
  ]);
});

test("a severity is at least another; a word of another language passes", () => {
  expect(
    ["DEBUG2", "LOG", "WARNING", "ERROR", "PANIC", "FEHLER", null].map((word) =>
      isAtLeast(word, "error"),
    ),
  ).toEqual([false, false, false, true, true, true, true]);
});

test("times are read in the zone that the log is written in", () => {
  const berlin = readerOf("Europe/Berlin");
  const iso = (at: string) => new Date(berlin(at)!).toISOString();
  expect(iso("2026-07-01 12:00:00.500 CEST")).toBe("2026-07-01T10:00:00.500Z");
  expect(iso("2026-01-01 12:00:00 CET")).toBe("2026-01-01T11:00:00.000Z");
  expect(berlin("nonsense")).toBeNull();
});

test.each([
  ["message", "statement: ALTER ROLE bob PASSWORD 'hush'"],
  ["message", "duration: 1.0 ms  execute <unnamed>: CREATE USER x PASSWORD E'hush'"],
  ["message", "could not connect: password=hush host=a"],
  ["message", "could not connect to postgres://bob:hush@host/db"],
  ["statement", "ALTER ROLE bob PASSWORD 'hush'"],
  ["statement", 'ALTER ROLE bob PASSWORD "hush"'],
  ["message", "statement: CREATE USER bob ENCRYPTED PASSWORD hush;"],
  ["statement", "SELECT crypt('hush', 'x')"],
  ["context", `SQL statement "ALTER ROLE bob PASSWORD 'hush'"`],
])("a password in %s is masked: %s", (part, text) => {
  expect(JSON.stringify(masked({ ...NOTHING, [part]: text }))).not.toContain("hush");
});

test("values beside a statement that speaks of a password are masked, others are not", () => {
  const detail = "parameters: $1 = 'hush'";
  const beside = (statement: string) => masked({ ...NOTHING, statement, detail }).detail;
  expect(beside("UPDATE users SET password = $1")).not.toContain("hush");
  expect(beside("UPDATE users SET name = $1")).toBe(detail);
});

test("a literal of megabytes leaves nothing beside it unmasked", () => {
  const message = `password '${"x".repeat(2_000_000)}' 'hush'`;
  const told = JSON.stringify(masked({ ...NOTHING, message }));
  expect(told).not.toContain("hush");
  expect(told.length).toBeLessThan(100_000);
});

test("a password that was typed without quotes is not told by the error either", () => {
  const statement = 'ALTER ROLE bob VALID UNTIL NULL PASSWORD "hush" LOGIN';
  const told = masked({ ...NOTHING, message: 'syntax error at or near ""hush""', statement });
  expect(JSON.stringify(told)).not.toContain("hush");
  expect(told.statement).toBe("ALTER ROLE bob VALID UNTIL NULL PASSWORD *** LOGIN");
  const none = masked({ ...NOTHING, statement: "ALTER ROLE bob PASSWORD NULL" }).statement;
  expect(none).toBe("ALTER ROLE bob PASSWORD NULL");
});
