import { describe, expect, test } from "bun:test";
import { Ajv } from "ajv";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { JsonSchema, StepType } from "../../../engine/types.ts";

const folder = join(import.meta.dir, "../../../steps/core");
const files = readdirSync(folder).filter((name) => name.endsWith(".ts"));
const types: StepType[] = await Promise.all(
  files.map(async (name) => (await import(join(folder, name))).default),
);

const ajv = new Ajv({
  strict: true,
  allowUnionTypes: true,
  strictTypes: false,
  strictRequired: false,
});
ajv.addKeyword("x-lang");
for (const format of ["condition", "duration", "runbook", "variables"]) ajv.addFormat(format, true);

function accepts(schema: JsonSchema, value: unknown): boolean {
  return ajv.compile(schema)(value);
}

test("each file of the folder is named after its type", () => {
  expect(files.length).toBeGreaterThanOrEqual(9);
  expect(types.map(({ type }) => `${type.replaceAll(".", "-")}.ts`)).toEqual(files);
});

describe.each(types.map((type) => [type.type, type] as const))("%s", (name, type) => {
  const list = parse(type.example) as Record<string, unknown>[];
  const input = list[0]![name];

  test("its example is one step that its input schema accepts", () => {
    expect(list).toHaveLength(1);
    expect(accepts(type.input, input)).toBe(true);
    expect(type.lint?.(input as never) ?? []).toEqual([]);
  });

  test("its schemas are valid and refuse what they do not know", () => {
    expect(accepts(type.output, null)).toBe(name === "run");
    const refused = name === "set" ? { a: [] } : { ...(input as object), no_such_key: 1 };
    expect(accepts(type.input, refused)).toBe(false);
    const output = type.outputFor?.(input as never);
    if (output) expect(ajv.validateSchema(output)).toBe(true);
  });

  test("it has a summary and says what to look out for", () => {
    expect(type.summary).toMatch(/^[A-Z].*[^.]$/);
    expect(type.docs).toBeTruthy();
  });
});

test("the short forms are accepted too", () => {
  const input = (type: string) => types.find((each) => each.type === type)!.input;
  expect(accepts(input("run"), "health/check")).toBe(true);
  expect(accepts(input("assert"), { that: "true", message: "m" })).toBe(true);
  expect(accepts(input("assert"), [])).toBe(false);
  expect(accepts(input("assert"), { that: "true" })).toBe(false);
});
