import { describe, expect, test } from "bun:test";
import { judge } from "../../engine/gates.ts";
import { takesBackup } from "../../engine/gates/backup.ts";
import type { GateInput } from "../../engine/gates/verdict.ts";
import { type Hazard, type Risk, RISKS, TARGET_STATES } from "../../engine/types.ts";

const TARGET: GateInput["target"] = {
  name: "orders",
  cluster: "orders",
  state: "up",
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
  withoutBackup: null,
};

type Given = Partial<Omit<GateInput, "target" | "flags" | "names" | "danger" | "backup">> & {
  calls?: string[];
  risk?: Risk;
  hazards?: Hazard[];
  needs?: string[];
  steps?: string[];
  touches?: boolean;
  /** Who asks for a backup; what is destructive does without it. */
  loses?: string | null;
  backups?: string[];
  lacks?: string[];
  target?: Partial<GateInput["target"]>;
  flags?: Partial<GateInput["flags"]>;
};

function input({
  target,
  flags,
  calls = [],
  risk = "read",
  hazards = [],
  needs = ["postgres"],
  steps = [],
  touches = true,
  loses,
  backups = ["backup/create"],
  lacks = [],
  ...more
}: Given): GateInput {
  const who = "step `kill` of `chaos/kill`";
  return {
    runbook: "demo/one",
    summary: "Change rows for good.",
    names: [more.runbook ?? "demo/one", ...calls],
    danger: {
      risk,
      hazards,
      needs,
      steps,
      touches,
      backup: loses === undefined ? (risk === "destructive" ? "step `wipe`" : null) : loses,
      who: {
        risk: who,
        hazards: Object.fromEntries(hazards.map((hazard) => [hazard, who])),
        needs: { patroni: "step `switch`" },
      },
    },
    plan: false,
    resumed: false,
    caller: "human",
    policy: [],
    backup: { runbooks: backups, lacks },
    ...more,
    target: { ...TARGET, ...target },
    flags: { ...FLAGS, ...flags },
  };
}

/** `allow`, `ask disruptive`, `refuse fault`, ... */
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
  risk: "disruptive",
  hazards: ["fault"],
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
      { risk: "destructive", flags: { confirm: "orders" }, backups: [] },
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
      "refuse fault",
    ],
    [
      "chaos without --cluster",
      { ...CHAOS, flags: { yes: true, iKnowWhatIAmDoing: true } },
      "refuse fault",
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
      { risk: "disruptive", hazards: ["fault"], flags: { yes: true, explicitCluster: true } },
      "refuse fault",
    ],
    [
      "chaos by way of another, on production",
      { ...CHAOS, calls: ["chaos/kill"], target: { labels: ["production"] } },
      "refuse production",
    ],
    [
      "a name that only says chaos",
      { runbook: "chaos/x", calls: ["chaos/kill"], risk: "disruptive", flags: { yes: true } },
      "allow",
    ],
    [
      "destroy of a managed cluster",
      { hazards: ["destroys"], risk: "destructive", flags: { confirm: "orders" } },
      "allow",
    ],
    [
      "destroy of a connected one",
      {
        hazards: ["destroys"],
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
        hazards: ["destroys"],
        risk: "destructive",
        flags: { confirm: "orders" },
        target: { ownership: "connected" },
      },
      "refuse connected",
    ],
    [
      "destroy of a bare connection",
      { hazards: ["destroys"], risk: "destructive", target: { ownership: "none" } },
      "refuse connected",
    ],
    ["another server than the registered one", { target: { identity: "8" } }, "refuse identity"],
    ["a server that does not tell who it is", { target: { identity: null } }, "refuse identity"],
    ["a server that is down", { target: { identity: null, state: "down" } }, "allow"],
    ["a server that nobody reaches", { target: { identity: null, state: "unreachable" } }, "allow"],
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
    ["unconfirmed, and without a backup", { risk: "destructive", backups: [] }, "refuse backup"],
    [
      "asked by the policy, and chaos without its flag",
      { ...CHAOS, flags: {}, policy: [rule("confirm", { caller: "human" })] },
      "refuse fault",
    ],
  ])("a refusal wins over a question: %s", (_, given, expected) =>
    expect(verdict(given)).toBe(expected),
  );
});

describe("a plan", () => {
  const dangerous = {
    plan: true,
    risk: "destructive",
    hazards: ["fault"],
    backups: [],
    target: { labels: ["production"] },
  } satisfies Given;
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
                  hazards: chaos ? ["fault"] : [],
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

test("all that a person can say is asked for at once, and nothing where nothing helps", () => {
  const destroy: Given = { risk: "destructive", backups: [], hazards: ["destroys"] };
  const both = judge(input(destroy));
  expect(both).toMatchObject({
    answer: "refuse",
    gate: "backup",
    reason: expect.stringMatching(
      /no runbook that takes a verified backup first\. It also needs a confirmation: demo\/one destroys/,
    ),
    hint: expect.stringMatching(/ All that it needs: --without-backup=orders --confirm=orders\.$/),
  });
  // Given what was asked for, it goes.
  expect(verdict({ ...destroy, flags: { withoutBackup: "orders", confirm: "orders" } })).toBe(
    "allow",
  );
  const one = judge(input({ ...destroy, flags: { confirm: "orders" } }));
  expect(one).toMatchObject({ hint: expect.not.stringContaining("All that it needs") });
  const nameless = judge(input({ ...destroy, target: { cluster: null } }));
  expect(nameless).toMatchObject({
    hint: expect.stringMatching(/: --cluster NAME --without-backup=NAME --confirm=NAME\.$/),
  });
  const policy = [rule("confirm", { cluster: "orders" })];
  const asked = judge(input({ risk: "disruptive", policy }));
  expect(asked).toMatchObject({
    answer: "ask",
    gate: "policy",
    hint: expect.stringMatching(/: --confirm=orders --yes\.$/),
  });
  const never = judge(
    input({ ...destroy, target: { ownership: "connected", labels: ["production"] } }),
  ) as { reason: string; hint: string };
  expect(never.reason).toMatch(/labelled production.*was not made by pgdba/);
  expect(never.reason + never.hint).not.toContain("--");
});

test("each verdict says why, and what to do", () => {
  const chaos = judge(input({ runbook: "demo/x", hazards: ["fault"], risk: "disruptive" }));
  expect(chaos).toMatchObject({
    answer: "refuse",
    code: "gate_refused",
    reason: expect.stringMatching(
      /^demo\/x, by step `kill` of `chaos\/kill`, .*--i-know-what-i-am-doing and --cluster NAME\. It also needs a confirmation: demo\/x, by step `kill` of `chaos\/kill`, is disruptive on orders: Change rows for good$/,
    ),
    hint: expect.stringMatching(/needs: --i-know-what-i-am-doing --cluster NAME --yes\.$/),
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
    reason: expect.stringContaining("needs patroni (for step `switch`)"),
    hint: expect.stringContaining("postgres"),
  });
  expect(judge(input({ policy: [rule("refuse", { caller: "human" })] }))).toMatchObject({
    code: "policy_refused",
    reason: 'demo/one on orders is not allowed to human: a rule refuses {"caller":"human"}',
    hint: expect.stringContaining("policy.yaml"),
  });
  const nowhere = { target: { state: "none" as const }, needs: [] };
  expect(
    judge(input({ policy: [rule("refuse", { step: "*" })], steps: ["exec"], ...nowhere })),
  ).toMatchObject({
    reason: 'demo/one is not allowed to human: a rule refuses {"step":"*"}',
  });
});

const DESTROY: Given = {
  risk: "destructive",
  hazards: ["destroys", "loses"],
  flags: { confirm: "orders" },
};

describe("how the target is", () => {
  test.each<[string, Given, Record<string, string>]>([
    [
      "what destroys: where nobody could be asked it waits, and what is there in part may go",
      DESTROY,
      { unreachable: "refuse unreachable" },
    ],
    [
      "what is disruptive",
      { risk: "disruptive", flags: { yes: true } },
      { unreachable: "refuse unreachable" },
    ],
    ["a fault", { ...CHAOS, risk: "change" }, { unreachable: "refuse unreachable" }],
    ["a change", { risk: "change" }, {}],
    ["what does not touch it", { risk: "disruptive", touches: false, flags: { yes: true } }, {}],
    ["a plan", { ...DESTROY, plan: true }, {}],
  ])("%s", (_, given, expected) => {
    for (const state of TARGET_STATES)
      expect([state, verdict({ ...given, target: { state } })]).toEqual([
        state,
        expected[state] ?? "allow",
      ]);
  });

  test("what is there in part and is nobody's may be destroyed; what somebody else made may not", () => {
    const destroy = (target: Given["target"]) => verdict({ ...DESTROY, target: { ...target } });
    expect(destroy({ state: "partial", ownership: "none" })).toBe("allow");
    expect(destroy({ state: "partial", ownership: "connected" })).toBe("refuse connected");
    expect(destroy({ state: "up", ownership: "none" })).toBe("refuse connected");
  });

  test("one that is down can't show another identity; one that shows another is refused, whatever it is", () => {
    const down = { state: "down", identity: null } as const;
    expect(verdict({ risk: "change", target: down })).toBe("allow");
    expect(verdict({ risk: "change", target: { ...down, identity: "8" } })).toBe("refuse identity");
  });
});

test("a run that goes on is asked nothing again, but for what labels, ownership, identity and policy refuse", () => {
  const gone: Given = {
    ...CHAOS,
    resumed: true,
    needs: ["patroni"],
    loses: "step `kill`",
    backups: [],
    flags: {},
    target: { state: "unreachable", identity: null },
  };
  expect(verdict(gone)).toBe("ask disruptive");
  expect(verdict({ ...gone, target: { labels: ["production"] } })).toBe("refuse production");
  expect(verdict({ ...gone, target: { identity: "8" } })).toBe("refuse identity");
  expect(verdict({ ...gone, hazards: ["destroys"], target: { ownership: "connected" } })).toBe(
    "refuse connected",
  );
  expect(verdict({ ...gone, policy: [rule("refuse", { hazard: "fault" })] })).toBe("refuse policy");
});

describe("a verified backup before what may lose data", () => {
  const with_ = (given: Given) => ({ verdict: verdict(given), taken: takesBackup(input(given)) });
  test.each<[string, Given, string, boolean]>([
    ["what destroys", DESTROY, "allow", true],
    ["what is destructive and keeps the old data", { ...DESTROY, loses: null }, "allow", false],
    ["a fault that may lose data", { ...CHAOS, loses: "step `kill`" }, "allow", true],
    ["a fault that loses none", CHAOS, "allow", false],
    ["a plan", { ...DESTROY, plan: true }, "allow", false],
    ["what is there in part", { ...DESTROY, target: { state: "partial" } }, "allow", false],
    ["what is not there", { ...DESTROY, target: { state: "absent" } }, "allow", false],
    ["the runbook that takes it", { ...DESTROY, runbook: "backup/create" }, "allow", false],
    ["none is there", { ...DESTROY, backups: [] }, "refuse backup", false],
    ["two are there", { ...DESTROY, backups: ["a", "b"] }, "refuse backup", false],
    ["it can't be taken", { ...DESTROY, lacks: ["postgres"] }, "refuse backup", false],
  ])("%s", (_, given, expected, taken) => {
    expect(with_(given)).toEqual({ verdict: expected, taken });
    const without = (name: string) => ({
      ...given,
      flags: { ...given.flags, withoutBackup: name },
    });
    // A person may go on without one, by the cluster's name; by another one nothing is opened.
    expect(with_(without("orders"))).toEqual({ verdict: "allow", taken: false });
    const wanted = taken || expected !== "allow";
    expect(with_(without("order"))).toEqual({
      verdict: wanted ? "refuse backup" : "allow",
      taken: false,
    });
  });

  test("the refusal says who, why, and the flag", () => {
    const said = (given: Given) => JSON.stringify(judge(input({ ...DESTROY, ...given })));
    expect(said({ backups: [] })).toMatch(/demo\/one, by step `wipe`, .*--without-backup=orders/);
    expect(said({ backups: ["a", "b"] })).toContain("a, b");
    expect(said({ lacks: ["postgres"] })).toContain("backup/create, which would take");
  });
});

test("a policy matches hazards, step types and states of the target, and a plan has no hazard", () => {
  const refused = (match: object, given: Given) =>
    verdict({ ...given, policy: [rule("refuse", match)] }) === "refuse policy";
  const drill: Given = { ...CHAOS, steps: ["sql.query", "node.kill"] };
  expect(refused({ hazard: "fault" }, drill)).toBe(true);
  expect(refused({ hazard: ["destroys", "fault"] }, drill)).toBe(true);
  expect(refused({ hazard: "destroys" }, drill)).toBe(false);
  expect(refused({ hazard: "fault" }, { ...drill, plan: true })).toBe(false);
  expect(refused({ step: "node.*" }, drill)).toBe(true);
  expect(refused({ step: "node" }, drill)).toBe(false);
  expect(refused({ state: "down" }, { risk: "change", target: { state: "down" } })).toBe(true);
  expect(refused({ state: ["down", "partial"] }, { risk: "change" })).toBe(false);
  expect(refused({ state: "up", hazard: "fault", step: "sql.*" }, drill)).toBe(true);
});
