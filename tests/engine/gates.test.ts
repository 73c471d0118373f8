import { describe, expect, test } from "bun:test";
import { type GateInput, highestRisk, judge } from "../../engine/gates.ts";
import { type Risk, RISKS } from "../../engine/types.ts";

const TARGET: GateInput["target"] = {
  name: "orders",
  cluster: "orders",
  clusters: ["orders"],
  unread: [],
  labels: [],
  ownership: "managed",
  identity: "7",
  expectedIdentity: "7",
  capabilities: ["postgres"],
};
const FLAGS: GateInput["flags"] = {
  yes: false,
  confirm: null,
  iKnowWhatIAmDoing: false,
  explicitCluster: false,
};

type Given = Partial<Omit<GateInput, "target" | "flags" | "names">> & {
  calls?: string[];
  target?: Partial<GateInput["target"]>;
  flags?: Partial<GateInput["flags"]>;
};

function input({ target, flags, calls = [], ...more }: Given): GateInput {
  return {
    runbook: "demo/one",
    names: [more.runbook ?? "demo/one", ...calls],
    risk: "read",
    needs: ["postgres"],
    plan: false,
    caller: "human",
    policy: [],
    backupRunbook: true,
    ...more,
    target: { ...TARGET, ...target },
    flags: { ...FLAGS, ...flags },
  };
}

/** `allow`, `ask disruptive`, `refuse chaos`, ... */
function verdict(given: Given): string {
  const found = judge(input(given));
  return found.answer === "allow" ? "allow" : `${found.answer} ${found.gate}`;
}

const rule = (action: "refuse" | "confirm", match: object) => ({
  match,
  action,
  file: "policy.yaml",
});
const CHAOS: Given = {
  runbook: "chaos/kill",
  risk: "disruptive",
  flags: { yes: true, iKnowWhatIAmDoing: true, explicitCluster: true },
};

describe("what a run is told", () => {
  test.each<[string, Given, string]>([
    ["a read", {}, "allow"],
    ["a change", { risk: "change" }, "allow"],
    ["disruptive without --yes", { risk: "disruptive" }, "ask disruptive"],
    ["disruptive with --yes", { risk: "disruptive", flags: { yes: true } }, "allow"],
    [
      "disruptive with --confirm only",
      { risk: "disruptive", flags: { confirm: "orders" } },
      "ask disruptive",
    ],
    [
      "destructive with --yes only",
      { risk: "destructive", flags: { yes: true } },
      "ask destructive",
    ],
    ["destructive confirmed", { risk: "destructive", flags: { confirm: "orders" } }, "allow"],
    [
      "destructive confirmed for another",
      { risk: "destructive", flags: { confirm: "order" } },
      "ask destructive",
    ],
    [
      "destructive without a cluster",
      { risk: "destructive", flags: { confirm: "orders" }, target: { cluster: null } },
      "refuse target",
    ],
    [
      "destructive without a backup runbook",
      { risk: "destructive", flags: { confirm: "orders" }, backupRunbook: false },
      "refuse backup",
    ],
    [
      "destructive on production",
      { risk: "destructive", flags: { confirm: "orders" }, target: { labels: ["production"] } },
      "refuse production",
    ],
    [
      "disruptive on production",
      { risk: "disruptive", flags: { yes: true }, target: { labels: ["production"] } },
      "allow",
    ],
    [
      "a label that only begins so",
      {
        risk: "destructive",
        flags: { confirm: "orders" },
        target: { labels: ["production-like"] },
      },
      "allow",
    ],
    ["chaos with all it needs", CHAOS, "allow"],
    [
      "chaos without the flag",
      { ...CHAOS, flags: { yes: true, explicitCluster: true } },
      "refuse chaos",
    ],
    [
      "chaos without --cluster",
      { ...CHAOS, flags: { yes: true, iKnowWhatIAmDoing: true } },
      "refuse chaos",
    ],
    [
      "chaos without --yes",
      { ...CHAOS, flags: { iKnowWhatIAmDoing: true, explicitCluster: true } },
      "ask disruptive",
    ],
    [
      "chaos on production",
      { ...CHAOS, target: { labels: ["eu", "production"] } },
      "refuse production",
    ],
    [
      "chaos that only reads, on production",
      { ...CHAOS, risk: "read", target: { labels: ["production"] } },
      "refuse production",
    ],
    [
      "chaos by way of another runbook",
      { risk: "disruptive", calls: ["chaos/kill"], flags: { yes: true, explicitCluster: true } },
      "refuse chaos",
    ],
    [
      "chaos by way of another, on production",
      { ...CHAOS, runbook: "demo/one", calls: ["chaos/kill"], target: { labels: ["production"] } },
      "refuse production",
    ],
    [
      "a name that only holds chaos",
      { runbook: "team/chaos/x", risk: "disruptive", flags: { yes: true } },
      "allow",
    ],
    [
      "destroy of a managed cluster",
      { runbook: "cluster/destroy", risk: "destructive", flags: { confirm: "orders" } },
      "allow",
    ],
    [
      "destroy of a connected one",
      {
        runbook: "cluster/destroy",
        risk: "destructive",
        flags: { confirm: "orders" },
        target: { ownership: "connected" },
      },
      "refuse connected",
    ],
    [
      "destroy by way of another runbook",
      {
        calls: ["cluster/destroy"],
        risk: "destructive",
        flags: { confirm: "orders" },
        target: { ownership: "connected" },
      },
      "refuse connected",
    ],
    [
      "destroy of a bare connection",
      { runbook: "cluster/destroy", risk: "destructive", target: { ownership: "none" } },
      "refuse connected",
    ],
    ["another server than the registered one", { target: { identity: "8" } }, "refuse identity"],
    ["a server that does not tell who it is", { target: { identity: null } }, "refuse identity"],
    ["a server nobody expects", { target: { identity: "8", expectedIdentity: null } }, "allow"],
    [
      "a change while an entry can't be read",
      { risk: "change", target: { unread: ["x"] } },
      "refuse registry",
    ],
    ["a read meanwhile", { target: { unread: ["x"] } }, "allow"],
    ["a plan meanwhile", { risk: "destructive", plan: true, target: { unread: ["x"] } }, "allow"],
    [
      "a label, however it is written",
      { ...CHAOS, target: { labels: [" Production"] } },
      "refuse production",
    ],
    ["a capability that is missing", { needs: ["postgres", "patroni"] }, "refuse capabilities"],
    [
      "no capability at all",
      { target: { capabilities: [], ownership: "none", cluster: null } },
      "refuse capabilities",
    ],
  ])("%s", (_, given, expected) => expect(verdict(given)).toBe(expected));

  test.each<[string, Given, string]>([
    [
      "another server, and unconfirmed",
      { risk: "destructive", target: { identity: "8" } },
      "refuse identity",
    ],
    [
      "unconfirmed, and refused by the policy",
      { risk: "disruptive", policy: [rule("refuse", { caller: "human" })] },
      "refuse policy",
    ],
    [
      "unconfirmed, and without a backup",
      { risk: "destructive", backupRunbook: false },
      "refuse backup",
    ],
    [
      "asked by the policy, and chaos without its flag",
      { ...CHAOS, flags: {}, policy: [rule("confirm", { caller: "human" })] },
      "refuse chaos",
    ],
  ])("a refusal wins over a question: %s", (_, given, expected) =>
    expect(verdict(given)).toBe(expected),
  );
});

describe("a plan", () => {
  const dangerous = {
    plan: true,
    risk: "destructive",
    runbook: "chaos/kill",
    backupRunbook: false,
    target: { labels: ["production"] },
  } as const;
  test.each<[string, Given, string]>([
    ["asks and needs nothing", dangerous, "allow"],
    ["of every risk", { plan: true, risk: "disruptive" }, "allow"],
    [
      "still refuses another server",
      { ...dangerous, target: { identity: "8" } },
      "refuse identity",
    ],
    [
      "still refuses what can't be done",
      { ...dangerous, needs: ["patroni"] },
      "refuse capabilities",
    ],
    [
      "is not asked to be confirmed by a policy",
      { ...dangerous, policy: [rule("confirm", { cluster: "orders" })] },
      "allow",
    ],
    [
      "is a read to a policy",
      { ...dangerous, policy: [rule("refuse", { risk: ["destructive"] })] },
      "allow",
    ],
    [
      "reads nothing where nothing may be read",
      { ...dangerous, policy: [rule("refuse", { cluster: "orders", caller: "human" })] },
      "refuse policy",
    ],
  ])("%s", (_, given, expected) => expect(verdict(given)).toBe(expected));
});

describe("a policy only narrows", () => {
  const closed = rule("refuse", { caller: "agent" });
  const asked = rule("confirm", { cluster: "ord*" });
  test.each<[string, Given, string]>([
    ["a rule for another caller", { policy: [closed] }, "allow"],
    [
      "a rule for anybody, when nobody is known",
      { policy: [closed], caller: null },
      "refuse policy",
    ],
    [
      "a rule for the cluster by its other name",
      { policy: [asked], target: { cluster: "alias", clusters: ["alias", "orders"] } },
      "ask policy",
    ],
    ["a rule for this one", { policy: [closed], caller: "agent" }, "refuse policy"],
    [
      "the strictest holds, in either order",
      { policy: [asked, closed], caller: "agent" },
      "refuse policy",
    ],
    [
      "the strictest holds, in either order",
      { policy: [closed, asked], caller: "agent" },
      "refuse policy",
    ],
    ["a confirmation, of a read even", { policy: [asked] }, "ask policy"],
    ["a confirmation that is given", { policy: [asked], flags: { confirm: "orders" } }, "allow"],
    [
      "a confirmation does not stand for --yes",
      { policy: [asked], risk: "disruptive", flags: { confirm: "orders" } },
      "ask disruptive",
    ],
    [
      "a rule for what is called",
      { policy: [rule("refuse", { runbook: "failover/*" })], calls: ["failover/trigger"] },
      "refuse policy",
    ],
  ])("%s", (_, given, expected) => expect(verdict(given)).toBe(expected));
});

test("every combination of risk and flags: only what is given opens, and nothing is opened by a plan that acts", () => {
  const both = [false, true];
  let seen = 0;
  for (const risk of RISKS)
    for (const yes of both)
      for (const confirm of [null, "orders", "else"])
        for (const known of both)
          for (const explicit of both)
            for (const production of both)
              for (const chaos of both) {
                const given: Given = {
                  risk,
                  runbook: chaos ? "chaos/x" : "demo/one",
                  flags: { yes, confirm, iKnowWhatIAmDoing: known, explicitCluster: explicit },
                  target: { labels: production ? ["production"] : [] },
                };
                const refused =
                  (production && (chaos || risk === "destructive")) ||
                  (chaos && !(known && explicit));
                const asked =
                  (risk === "disruptive" && !yes) ||
                  (risk === "destructive" && confirm !== "orders");
                expect(verdict(given).split(" ")[0]).toBe(
                  refused ? "refuse" : asked ? "ask" : "allow",
                );
                expect(verdict({ ...given, plan: true })).toBe("allow");
                seen += 1;
              }
  expect(seen).toBe(384);
});

test("each verdict says why, and what to do", () => {
  const chaos = judge(input({ runbook: "demo/x", calls: ["chaos/kill"], risk: "disruptive" }));
  expect(chaos).toMatchObject({
    answer: "refuse",
    code: "gate_refused",
    reason: expect.stringMatching(/^chaos\/kill .*--i-know-what-i-am-doing and --cluster NAME$/),
  });
  expect(judge(input({ risk: "destructive" }))).toMatchObject({
    answer: "ask",
    expect: "orders",
    hint: expect.stringContaining("--confirm=orders"),
  });
  expect(judge(input({ risk: "disruptive" }))).toMatchObject({
    answer: "ask",
    expect: null,
    hint: expect.stringContaining("--yes"),
  });
  expect(judge(input({ target: { identity: "8" } }))).toMatchObject({
    code: "identity_mismatch",
    reason: expect.stringMatching(/identifier 8.*registered as 7/),
  });
  expect(judge(input({ needs: ["patroni"] }))).toMatchObject({
    code: "capability_missing",
    reason: expect.stringContaining("needs patroni"),
    hint: expect.stringContaining("postgres"),
  });
  expect(judge(input({ policy: [rule("refuse", { caller: "human" })] }))).toMatchObject({
    code: "policy_refused",
    hint: expect.stringContaining("policy.yaml"),
  });
});

test("the highest risk is that of the worst", () => {
  expect(highestRisk([])).toBe("read");
  expect(highestRisk(["change", "destructive", "read"] satisfies Risk[])).toBe("destructive");
});
