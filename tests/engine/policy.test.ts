import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemDirsOf } from "../../engine/cli/config.ts";
import type { Front } from "../../engine/cli/front.ts";
import { callerOf } from "../../engine/cli/start-run.ts";
import { loadPolicy, matchesRule, type PolicyRule } from "../../engine/policy.ts";
import { cpuMs } from "../support/cpu-time.ts";

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
  hazards: ["fault", "loses"],
  steps: ["node.kill", "sql.query"],
  caller: "agent",
  target: { state: "up", clusters: ["orders-eu", "spare"], labels: ["production"] },
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
  [{ risk: "disruptive" }, true],
  [{ risk: "change" }, false],
  [{ risk: [] }, false],
  [{ hazard: "fault" }, true],
  [{ hazard: ["destroys", "loses"] }, true],
  [{ hazard: "destroys" }, false],
  [{ step: "node.*" }, true],
  [{ step: "node" }, false],
  [{ state: "up" }, true],
  [{ state: ["down", "unreachable"] }, false],
  [{ label: "production" }, true],
  [{ label: "prod" }, false],
  [{ label: " Production" }, true],
  [{ cluster: "orders-*" }, true],
  [{ cluster: "spare" }, true],
  [{ cluster: "*-us" }, false],
  [{ caller: "agent" }, true],
  [{ caller: "human" }, false],
  [{ caller: " Agent " }, true],
  [{ caller: "!human" }, true],
  [{ caller: "!agent" }, false],
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

test("when nobody knows who is calling, every rule that names a caller matches", () => {
  for (const caller of ["agent", "human", "!human", "!agent"]) {
    const rule = { match: { caller }, action: "refuse", file: "" } as const;
    expect(matchesRule(rule, { ...run, caller: null })).toBe(true);
    const other = { ...rule, match: { caller, label: "test" } };
    expect(matchesRule(other, { ...run, caller: null })).toBe(false);
  }
});

test("a bare connection is no cluster of any name but *", () => {
  const bare = { ...run, target: { state: "none", clusters: [], labels: [] } };
  expect(matchesRule({ match: { cluster: "o*" }, action: "refuse", file: "" }, bare)).toBe(false);
  expect(matchesRule({ match: { cluster: "*" }, action: "refuse", file: "" }, bare)).toBe(true);
});

test("a pattern of many stars is not slow", () => {
  const computed = cpuMs();
  const hostile = {
    match: { runbook: `${"*a".repeat(500)}b` },
    action: "refuse",
    file: "",
  } as const;
  expect(matchesRule(hostile, { ...run, names: ["a".repeat(5_000)] })).toBe(false);
  expect(cpuMs() - computed).toBeLessThan(500);
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
    "rules: [{match: {hazard: falt}, action: refuse}]",
    "rules: [{match: {state: [dwn]}, action: refuse}]",
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

test("the machine's own folder counts always; PGDBA_ETC adds one", () => {
  expect(systemDirsOf({})).toEqual(["/etc/pgdba"]);
  expect(systemDirsOf({ PGDBA_ETC: "/tmp/mine" })).toEqual(["/etc/pgdba", "/tmp/mine"]);
  expect(systemDirsOf({ PGDBA_ETC: "/etc/pgdba" })).toEqual(["/etc/pgdba"]);
});

test("who is calling: what PGDBA_CALLER says, a person at a terminal, or nobody knows", () => {
  const caller = (env: Record<string, string>, isTTY: boolean) =>
    callerOf({ env, stdin: { isTTY } as Front["stdin"] });
  expect(caller({ PGDBA_CALLER: "agent", CI: "1" }, true)).toEqual({
    name: "agent",
    by: "PGDBA_CALLER",
  });
  expect(caller({ CI: "1" }, true)).toEqual({ name: "human", by: "terminal" });
  for (const env of [{}, { CI: "1" }, { PGDBA_CALLER: "" }] as Record<string, string>[])
    expect(caller(env, false)).toEqual({ name: null, by: null });
  for (const said of ["agent ", " ", "!human", "*", "a\nb", "x".repeat(65)])
    expect(() => caller({ PGDBA_CALLER: said }, false)).toThrow("not a name");
});
