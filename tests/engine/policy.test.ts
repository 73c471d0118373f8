import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadPolicy, matchesRule, type PolicyRule } from "../../engine/policy.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "pgdba-policy-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function put(name: string, text: string): string {
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
}

const run = {
  names: ["failover/trigger", "health/check"],
  risk: "disruptive",
  caller: "agent",
  target: { cluster: "orders-eu", labels: ["production"] },
};

test.each<[PolicyRule["match"], boolean]>([
  [{ runbook: "failover/trigger" }, true],
  [{ runbook: "failover" }, false],
  [{ runbook: "failover/*" }, true],
  [{ runbook: "*" }, true],
  [{ runbook: "*over*gger" }, true],
  [{ runbook: "f*f*" }, false],
  [{ runbook: "health/*" }, true],
  [{ runbook: "failover/trigger*failover/trigger" }, false],
  [{ runbook: "failover.trigger" }, false],
  [{ risk: ["disruptive", "destructive"] }, true],
  [{ risk: ["read"] }, false],
  [{ risk: [] }, false],
  [{ label: "production" }, true],
  [{ label: "prod" }, false],
  [{ cluster: "orders-*" }, true],
  [{ cluster: "*-us" }, false],
  [{ caller: "agent" }, true],
  [{ caller: "human" }, false],
  [{ caller: "agent", label: "test" }, false],
  [
    {
      caller: "agent",
      label: "production",
      cluster: "*",
      risk: ["disruptive"],
      runbook: "failover/*",
    },
    true,
  ],
])("a rule matches when all of its conditions hold: %j", (match, expected) => {
  expect(matchesRule({ match, action: "refuse", file: "" }, run)).toBe(expected);
});

test("a bare connection is no cluster of any name but *", () => {
  const bare = { ...run, target: { cluster: null, labels: [] } };
  expect(matchesRule({ match: { cluster: "o*" }, action: "refuse", file: "" }, bare)).toBe(false);
  expect(matchesRule({ match: { cluster: "*" }, action: "refuse", file: "" }, bare)).toBe(true);
});

test("a pattern of many stars is not slow", () => {
  const started = performance.now();
  const hostile = {
    match: { runbook: `${"*a".repeat(500)}b` },
    action: "refuse",
    file: "",
  } as const;
  expect(matchesRule(hostile, { ...run, names: ["a".repeat(5_000)] })).toBe(false);
  expect(performance.now() - started).toBeLessThan(200);
});

test("all files that exist count, in order, each rule knowing its file", async () => {
  const one = put(
    "one.yaml",
    "rules:\n  - match: {caller: agent}\n    action: refuse\n    reason: no\n",
  );
  const two = put("two.yaml", "rules:\n  - match: {risk: [change]}\n    action: confirm\n");
  expect(await loadPolicy([one, join(dir, "none.yaml"), two])).toEqual([
    { match: { caller: "agent" }, action: "refuse", reason: "no", file: one },
    { match: { risk: ["change"] }, action: "confirm", file: two },
  ]);
});

test("a policy that can't be read allows nothing", async () => {
  mkdirSync(join(dir, "folder.yaml"));
  const bad = [
    "rules: [{match: {caler: agent}, action: refuse}]",
    "rules: [{match: {}, action: refuse}]",
    "rules: [{match: {caller: agent}, action: allow}]",
    "rules: [{match: {risk: [huge]}, action: refuse}]",
    "rules: [{action: refuse}]",
    "rule: []",
    "",
    "rules: [",
  ].map((text, index) => put(`bad-${index}.yaml`, text));
  symlinkSync("nowhere", join(dir, "dangling.yaml"));
  expect(Bun.spawnSync(["mkfifo", join(dir, "fifo.yaml")]).exitCode).toBe(0);
  const others = ["folder.yaml", "dangling.yaml", "fifo.yaml", "bad-0.yaml/below"];
  for (const file of [...bad, "/dev/zero", ...others.map((name) => join(dir, name))]) {
    await expect(loadPolicy([file])).rejects.toMatchObject({
      code: "invalid_config",
      message: expect.stringContaining(file),
    });
  }
});
