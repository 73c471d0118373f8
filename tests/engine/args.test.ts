import { expect, test } from "bun:test";
import { validateParams } from "../../engine/check/params.ts";
import { leadingWords, paramFlags, paramValues, parseFlags } from "../../engine/cli/args.ts";
import { PgdbaError } from "../../engine/errors.ts";
import type { ParamSpec } from "../../engine/types.ts";

const PARAMS: Record<string, ParamSpec> = {
  target: { type: "string", positional: 1 },
  max_lag: { type: "string" },
  count: { type: "integer", positional: 2 },
  force: { type: "boolean" },
  only: { type: "array", items: { type: "string" } },
};
const own = paramFlags(PARAMS);

function refused(work: () => unknown): { code: string; message: string; hint: string | undefined } {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof PgdbaError)
      return { code: thrown.code, message: thrown.message, hint: thrown.hint };
    throw thrown;
  }
  throw new Error("nothing was refused");
}

const flags = (...argv: string[]) => ({ ...parseFlags(argv, own).flags });

test.each<[string[], object]>([
  [["--target", "pg2"], { target: "pg2" }],
  [["--target=pg2"], { target: "pg2" }],
  [["--target="], { target: "" }],
  [["--max-lag", "1MB", "--count", "-1"], { "max-lag": "1MB", count: "-1" }],
  [["--force"], { force: true }],
  [["--no-force"], { force: false }],
  [["--force=false"], { force: false }],
  [["--yes", "--no-input", "-q"], { yes: true, "no-input": true, quiet: true }],
  [["-y", "-c", "lab", "-d", "shop"], { yes: true, cluster: "lab", database: "shop" }],
  [["--only", "a", "--only=b"], { only: ["a", "b"] }],
  [["--runbooks", "x", "--runbooks", "y"], { runbooks: ["x", "y"] }],
  [["--i-know-what-i-am-doing"], { "i-know-what-i-am-doing": true }],
  [["--format", "table", "--", "--force"], { format: "table" }],
])("%j", (argv, expected) => expect(flags(...argv)).toEqual(expected as never));

test("words are kept in order, and what follows -- is a word whatever it looks like", () => {
  expect(parseFlags(["run", "--force", "a", "--", "--force", "-x"], own).words).toEqual([
    "run",
    "a",
    "--force",
    "-x",
  ]);
});

test.each<[string[], RegExp, RegExp]>([
  [["--targte", "x"], /no flag --targte/, /--target\?/],
  [["--zzzzzzzz"], /no flag --zzzzzzzz/, /--help.*of its own are .*--target/],
  [["--no-target"], /no flag --no-target/, /./],
  [["-z"], /no flag -z/, /./],
  [["--target"], /--target needs a value/, /--target VALUE/],
  [["--force=maybe"], /switch/, /--no-force/],
  [["--target", "a", "--target", "b"], /given twice/, /once/],
  [["--__proto__", "x"], /no flag --__proto__/, /./],
  [["--constructor"], /no flag --constructor/, /./],
])("%j is refused", (argv, message, hint) => {
  const found = refused(() => flags(...argv));
  expect(found.code).toBe("usage");
  expect(found.message).toMatch(message);
  expect(found.hint).toMatch(hint);
});

test("the words that name the command are found before the flags of the runbook are known", () => {
  expect(leadingWords(["failover", "trigger", "--target", "pg2", "--yes"]).slice(0, 2)).toEqual([
    "failover",
    "trigger",
  ]);
  expect(leadingWords(["--cluster", "lab", "-q", "health", "check", "--only=x"])).toEqual([
    "health",
    "check",
  ]);
  expect(leadingWords(["--format"])).toEqual([]);
  expect(leadingWords(["--yes=perhaps", "run"])).toEqual(["run"]);
});

test("parameters are taken from flags and from bare words, and none of both is dropped", () => {
  const values = (argv: string[], words: string[]) => ({
    ...paramValues(PARAMS, parseFlags(argv, own), words),
  });
  expect(values(["--max-lag", "1MB", "--no-force"], ["pg2", "3"])).toEqual({
    target: "pg2",
    max_lag: "1MB",
    count: "3",
    force: false,
  });
  expect(refused(() => values(["--target", "pg1"], ["pg2"]))).toMatchObject({
    code: "usage",
    message: '--target is given twice, as a flag and as the word "pg2"',
  });
  expect(values(["--only", "a,b"], [])).toEqual({ only: "a,b" });
  expect(values(["--only", "a", "--only", "b"], [])).toEqual({ only: ["a", "b"] });
  const found = refused(() => values([], ["pg2", "3", "more"]));
  expect(found).toMatchObject({ code: "usage", message: expect.stringContaining('"more"') });
});

test("a list that is the last bare word takes all that follow, and no other parameter does", () => {
  const LIST: Record<string, ParamSpec> = {
    index: { type: "array", items: { type: "string" }, positional: 2 },
    mode: { type: "string", positional: 1 },
  };
  const values = (...argv: string[]) => {
    const parsed = parseFlags(argv, paramFlags(LIST));
    return validateParams(LIST, paramValues(LIST, parsed, parsed.words));
  };
  expect(values("fast", "a", 'b."C,d"', "e")).toEqual({
    mode: "fast",
    index: ["a", 'b."C,d"', "e"],
  });
  expect(values("fast", 'b."C,d"')["index"]).toEqual(['b."C,d"']);
  expect(values("fast", "a,b")["index"]).toEqual(["a", "b"]);
  expect(values("fast", "a", "b", "--index", "c")["index"]).toEqual(["a", "b", "c"]);
  const swapped = {
    ...LIST,
    index: { ...LIST["index"], positional: 1 },
    mode: { ...LIST["mode"], positional: 2 },
  };
  const many = refused(() => paramValues(swapped, { words: [], flags: {} }, ["a", "fast", "b"]));
  expect(many.message).toBe('No parameter takes the word "b"');
});
