import { describe, expect, test } from "bun:test";
import { unknownOutput, UnknownValue } from "../../../engine/expr/unknown.ts";
import { Dict, Duration, fromCel, List, toCel, type Value } from "../../../engine/expr/values.ts";

const roundTrip = (value: unknown): unknown => fromCel(toCel(value));

describe("values", () => {
  test("safe integers are ints, other numbers doubles", () => {
    expect(toCel(3)).toBe(3n);
    expect(toCel(1.5)).toBe(1.5);
    expect(toCel(2 ** 60)).toBe(2 ** 60);
    expect(toCel(2n ** 60n)).toBe(2n ** 60n);
  });
  test.each<[unknown, unknown]>([
    [
      { a: [1, { b: null }], c: "x", d: true },
      { a: [1, { b: null }], c: "x", d: true },
    ],
    [2n ** 60n, "1152921504606846976"],
    [42n, 42],
    [new Date("2026-02-22T10:00:00Z"), "2026-02-22T10:00:00Z"],
    [new Date("2026-02-22T10:00:00.120Z"), "2026-02-22T10:00:00.12Z"],
    [new Uint8Array([1, 2, 255]), "AQL/"],
    [
      new Map<unknown, unknown>([
        ["a", 1],
        [2, "b"],
      ]),
      { a: 1, "2": "b" },
    ],
    [new Set([1, 2]), [1, 2]],
    [new Duration(1500), 1500],
    [Number.NaN, "NaN"],
    [{ a: undefined, b: 1 }, { b: 1 }],
    [[undefined], [null]],
  ])("%p becomes %p", (value, json) => expect(roundTrip(value)).toEqual(json as never));
  test("__proto__ is no key, constructor is one where it is data", () => {
    const data = JSON.parse('{"__proto__": {"x": 1}, "constructor": 2}');
    expect(Object.keys(roundTrip(data) as object)).toEqual(["constructor"]);
    expect((toCel({}) as Dict).get("constructor")).toBeUndefined();
  });
  test("is lazy: what is not read is not converted", () => {
    const data = {
      a: 1,
      get b(): never {
        throw new Error("read");
      },
    };
    expect((toCel(data) as Dict).get("a")).toBe(1n);
    expect(() => roundTrip(data)).toThrow("read");
  });
  test("bounds the result", () => {
    expect(() => roundTrip(Array.from({ length: 500_001 }, () => 0))).toThrow(
      expect.objectContaining({ code: "limit_exceeded" }),
    );
    let doubled: Value = List.of([1n]);
    for (let i = 0; i < 40; i++) doubled = List.of([doubled, doubled]);
    expect(() => fromCel(doubled)).toThrow(expect.objectContaining({ code: "limit_exceeded" }));
  });
  test("functions are no data", () => {
    expect(() => toCel(() => 1)).toThrow(expect.objectContaining({ code: "expression_failed" }));
  });
  test("an unknown output throws on any touch, and not before", () => {
    const vars = { steps: { a: unknownOutput("steps.a.output") } };
    const steps = toCel(vars.steps) as Dict;
    expect(steps.has("a")).toBe(true);
    expect(() => steps.get("a")).toThrow(UnknownValue);
    expect(() => (vars.steps.a as Record<string, unknown>)["x"]).toThrow(UnknownValue);
    expect(() => Object.keys(vars.steps.a)).toThrow(UnknownValue);
    expect(() => "x" in vars.steps.a).toThrow(UnknownValue);
  });
});
