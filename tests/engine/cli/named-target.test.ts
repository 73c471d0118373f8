import { expect, test } from "bun:test";
import { namedTarget, otherRunbook } from "../../../engine/cli/named-target.ts";
import type { JsonObject, ParamSpec } from "../../../engine/types.ts";

const CLUSTER = { type: "string", format: "cluster" } as const;
const SAME: Record<string, ParamSpec> = { name: { ...CLUSTER, target: true } };
const BESIDE: Record<string, ParamSpec> = {
  made: { ...CLUSTER, target: { from: "origin", suffix: "-restored" } },
  origin: { type: "string" },
};

function named(specs: Record<string, ParamSpec>, params: JsonObject, flags: object) {
  const values = { ...params };
  try {
    return { target: namedTarget(specs, values, flags), params: values };
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test("a param is another word for --cluster", () => {
  expect(named(SAME, { name: "a" }, {})).toEqual({
    target: { cluster: "a" },
    params: { name: "a" },
  });
  expect(named(SAME, { name: null }, { cluster: "a" })).toEqual({
    target: { cluster: "a" },
    params: { name: "a" },
  });
  expect(named(SAME, { name: "a" }, { cluster: "b" })).toBe("usage");
});

test("the target is made from the cluster that --cluster names", () => {
  const nobody = { made: null, origin: null };
  expect(named(BESIDE, { ...nobody, made: "b" }, { cluster: "a" })).toEqual({
    target: { cluster: "b" },
    params: { made: "b", origin: "a" },
  });
  expect(named(BESIDE, nobody, { cluster: "a" })).toEqual({
    target: { cluster: "a-restored" },
    params: { made: "a-restored", origin: "a" },
  });
  // From what is no cluster of the registry.
  expect(named(BESIDE, { ...nobody, made: "b" }, {})).toEqual({
    target: { cluster: "b" },
    params: { made: "b", origin: null },
  });
  expect(named(BESIDE, { made: "b", origin: "a" }, { cluster: "b" })).toEqual({
    target: { cluster: "b" },
    params: { made: "b", origin: "a" },
  });
});

test("a cluster is not made from itself, nor from a server without a name", () => {
  const nobody = { made: null, origin: null };
  expect(named(BESIDE, nobody, {})).toBe("usage");
  expect(named(BESIDE, { ...nobody, made: "a" }, { cluster: "a" })).toBe("usage");
  expect(named(BESIDE, { made: "b", origin: "a" }, { cluster: "c" })).toBe("usage");
  expect(named(BESIDE, { ...nobody, made: "b" }, { host: "h" })).toBe("usage");
});

test("a boolean that is given leads to another runbook", () => {
  const specs = { in_place: { type: "boolean", runbook: "team/other" } } as const;
  expect(otherRunbook(specs, ["team", "x", "--in-place"])).toBe("team/other");
  expect(otherRunbook(specs, ["team", "x", "--in-place=true"])).toBe("team/other");
  expect(otherRunbook(specs, ["team", "x", "--", "--in-place"])).toBeUndefined();
  expect(otherRunbook(specs, ["team", "x"])).toBeUndefined();
  // Behind a flag that only the other one knows.
  expect(otherRunbook(specs, ["team", "x", "--theirs", "1", "--in-place"])).toBe("team/other");
});

test("what is given is what the parser of flags says", () => {
  const specs = {
    in_place: { type: "boolean", runbook: "team/other" },
    note: { type: "string" },
  } as const;
  for (const argv of [
    ["--in-place=false"],
    ["--no-in-place"],
    ["--in-place", "--no-in-place"],
    ["--in-place", "--in-place=false"],
    ["--note", "--in-place"],
  ])
    expect(otherRunbook(specs, ["team", "x", ...argv])).toBeUndefined();
});
