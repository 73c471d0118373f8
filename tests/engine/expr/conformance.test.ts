import { expect, test } from "bun:test";
import { evaluate } from "../../../engine/expr/cel.ts";
import { DIFFERENCES } from "../../../engine/expr/differences.ts";
import { Interpreter } from "../../../engine/expr/interpret.ts";
import { parse } from "../../../engine/expr/parse.ts";
import { Duration, fromCel, toCel, typeName, type Value } from "../../../engine/expr/values.ts";

/**
 * Expressions and results of the CEL specification's conformance tests (google/cel-spec 508bd98, tests/simple, Apache-2.0):
 * the core files, without protobuf. A row is [name, expression, what it must give, variables]. Values are JSON, or
 * `12` an int or uint, `12.0` and `double 12` a double, `b:00ff` bytes, `timestamp …`, `duration …ms`, `ERROR`.
 */
type Row = [name: string, source: string, want: string, vars?: Record<string, string>];
const rows = (await Bun.file(`${import.meta.dir}/cel-vectors.jsonl`).text())
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Row);

/** Cases that are not as the specification has it, by the difference that says why. */
const EXCEPTIONS: Record<keyof typeof DIFFERENCES, string[]> = {
  size: ["conversions/bytes/string_unicode"],
  names: [
    "fields/qualified_identifier_resolution/ident_with_longest_prefix_check",
    "fields/qualified_identifier_resolution/qualified_ident",
    "fields/qualified_identifier_resolution/qualified_identifier_resolution_unchecked",
  ],
};
const excepted = new Set(Object.values(EXCEPTIONS).flat());

function valueOf(text: string): unknown {
  if (/^-?\d+$/.test(text)) return BigInt(text);
  if (text.startsWith("b:")) return Uint8Array.fromHex(text.slice(2));
  if (text.startsWith("timestamp ")) return new Date(text.slice(10));
  if (text.startsWith("duration ")) return new Duration(Number(text.slice(9, -2)));
  if (text.startsWith("double ")) return Number(text.slice(7));
  return JSON.parse(text);
}

const isDouble = (text: string): boolean => /^(double |-?\d+\.\d+$)/.test(text);

function outcome([, source, , vars = {}]: Row): { value: Value } | { failed: string } {
  const given = Object.fromEntries(Object.entries(vars).map(([key, text]) => [key, valueOf(text)]));
  try {
    const value = new Interpreter(source, given).run(parse(source));
    expect(evaluate(source, given)).toEqual(fromCel(value));
    return { value };
  } catch (error) {
    return { failed: String(error) };
  }
}

/** Whether the case gives what the specification says, types included. */
function isRight(row: Row): boolean {
  const [, , want] = row;
  const got = outcome(row);
  if ("failed" in got || want === "ERROR") return "failed" in got && want === "ERROR";
  const type = typeName(got.value);
  if (/^-?\d+$/.test(want) && type !== "int" && type !== "uint") return false;
  if (isDouble(want) && type !== "double") return false;
  const wanted = isDouble(want) ? Number(want.replace("double ", "")) : toCel(valueOf(want));
  return Bun.deepEquals(fromCel(got.value), fromCel(wanted), true);
}

const sectionOf = ([name]: Row): string => name.slice(0, name.lastIndexOf("/"));

test.each([...Map.groupBy(rows, sectionOf)])("%s", (_, section) => {
  const wrong = section.filter((row) => !isRight(row)).map(([name]) => name);
  expect(wrong).toEqual(section.map(([name]) => name).filter((name) => excepted.has(name)));
});

test("all cases are there, and every exception has its reason in the reference", () => {
  expect(rows).toHaveLength(745);
  for (const name of excepted) expect(rows.map((row) => row[0])).toContain(name);
  for (const reason of Object.keys(EXCEPTIONS)) expect(DIFFERENCES).toHaveProperty(reason);
});
