import { backup } from "./gates/backup.ts";
import { ALLOW, type GateInput, nameOf, told, type Verdict } from "./gates/verdict.ts";
import { hasLabel, matchesRule, type PolicyRule } from "./policy.ts";
import type { Hazard } from "./types.ts";

type Gate = (input: GateInput) => Verdict;

/** In this order. Those of one group are told together: whoever heeds one must not learn of the next only then. */
const GATES: readonly (readonly Gate[])[] = [
  // While these stand, nothing else is sure.
  [identity],
  [registry],
  // That it is never allowed is said before what would be missing for it.
  [readOnly, production, connected, forbidden],
  [capabilities],
  [unreachable],
  // What a person can say.
  [fault, approval, asked, target, backup, destructive, disruptive],
];

/** All gates; a refusal wins over a question. Pure. */
export function judge(input: GateInput): Verdict {
  for (const group of GATES) {
    const verdicts = group.map((gate) => gate(input)).filter(({ answer }) => answer !== "allow");
    if (verdicts.length > 0) return together(verdicts);
  }
  return ALLOW;
}

function together(verdicts: readonly Verdict[]): Verdict {
  const refusals = verdicts.filter((one) => one.answer === "refuse");
  // Whoever approves a run has answered all that would be asked.
  const approvals = verdicts.filter((one) => one.answer === "approve");
  const questions = approvals.length > 0 ? [] : verdicts.filter((one) => one.answer === "ask");
  const flags = [...new Set([...refusals, ...questions].flatMap(({ opens = [] }) => opens))];
  const [first] = refusals;
  const [question] = questions;
  const all =
    verdicts.length > 1 && flags.length > 1 ? ` All that it needs: ${flags.join(" ")}.` : "";
  if (first === undefined) {
    if (approvals[0] !== undefined) return approvals[0];
    return question === undefined ? ALLOW : { ...question, hint: question.hint + all };
  }
  const reasons = [
    ...refusals.map(({ reason }) => reason),
    ...questions.map((one) => `It also needs a confirmation: ${one.question}`),
  ];
  const hints = new Set(refusals.map(({ hint }) => hint));
  return { ...first, reason: reasons.join(". "), hint: [...hints].join(" ") + all };
}

function identity({ target }: GateInput): Verdict {
  if (target.expectedIdentity === null || target.identity === target.expectedIdentity) return ALLOW;
  // If no server answers, none answers under a wrong name.
  if (target.identity === null && target.state !== "up") return ALLOW;
  return {
    answer: "refuse",
    gate: "identity",
    code: "identity_mismatch",
    reason:
      target.identity === null
        ? `${target.name} does not tell its system identifier, so it can't be told from another server`
        : `${target.name} answers with system identifier ${target.identity}, but is registered as ${target.expectedIdentity}`,
    hint: "Another server answers under this name. Check host and port in the cluster's file, or connect it anew.",
  };
}

function registry({ target, danger, plan }: GateInput): Verdict {
  const [unread] = target.unread;
  if (plan || danger.risk === "read" || unread === undefined) return ALLOW;
  return {
    answer: "refuse",
    gate: "registry",
    code: "gate_refused",
    reason: `What the registry says of ${target.name} is not wholly known: ${unread}`,
    hint: "That file may forbid what you are about to do. Mend it, or move it away.",
  };
}

function capabilities({ danger, target, runbook, resumed }: GateInput): Verdict {
  if (resumed) return ALLOW;
  const missing = danger.needs.filter((need) => !target.capabilities.includes(need));
  if (missing.length === 0) return ALLOW;
  const nameless = target.ownership === "none" && target.capabilities.length === 0;
  const words = missing.map((need) => {
    const who = danger.who.needs[need];
    return who === undefined || who === `\`${runbook}\`` ? need : `${need} (for ${who})`;
  });
  return {
    answer: "refuse",
    gate: "capabilities",
    code: "capability_missing",
    reason: nameless
      ? `${runbook} needs a target that has ${words.join(", ")}, and none is named`
      : `${runbook} needs ${words.join(", ")}, which ${target.name} does not have`,
    hint: nameless
      ? `Name a target: --cluster NAME${danger.risk === "read" ? " (try --cluster lab)" : ""}, or --host/--port/--user/--database, or PGDBA_PG_HOST.`
      : [
          ...new Set(missing.flatMap((need) => target.ways?.[need] ?? [])),
          `It has: ${target.capabilities.join(", ") || "nothing"}`,
          "Choose another target or runbook.",
        ].join(". "),
  };
}

/** What was started to look changes nothing, whatever its steps turn out to do. */
function readOnly({ flags, danger, plan, runbook }: GateInput): Verdict {
  if (plan || flags.readOnly !== true || danger.risk === "read") return ALLOW;
  return {
    answer: "refuse",
    gate: "read_only",
    code: "gate_refused",
    reason: `${runbook} is not only a read but ${danger.risk}, and --read-only was given`,
    hint: `Look at what it would do with --plan, or run it without --read-only.`,
  };
}

function production(input: GateInput): Verdict {
  const { target, danger, plan } = input;
  if (plan || !hasLabel(target, "production")) return ALLOW;
  const breaks = danger.hazards.includes("fault");
  if (danger.risk !== "destructive" && !breaks) return ALLOW;
  return {
    answer: "refuse",
    gate: "production",
    code: "gate_refused",
    reason: `${named(target)} is labelled production; ${
      breaks
        ? `${whose(input, "fault")} breaks things on purpose`
        : `${worst(input)} is destructive`
    }`,
    hint: "No flag opens this. Run it on another cluster, or take the label off the cluster's file.",
  };
}

/** A cluster that is there only in part was made by a run of ours that did not finish, unless its entry says otherwise. */
function connected(input: GateInput): Verdict {
  const { target, danger } = input;
  if (!danger.hazards.includes("destroys") || target.ownership === "managed") return ALLOW;
  const unmade = target.state === "partial" || target.state === "absent";
  if (target.ownership === "none" && unmade) return ALLOW;
  // Whoever has named nothing is told to name something.
  if (target.state === "none" && danger.needs.length > 0) return ALLOW;
  return {
    answer: "refuse",
    gate: "connected",
    code: "gate_refused",
    reason: `${named(target)} was not made by pgdba, so pgdba does not destroy it, as ${whose(input, "destroys")} would`,
    hint: "Forget it instead, by removing its file from the state folder's clusters/.",
  };
}

/** A server that can't be seen may be at work: it is not interrupted, broken or destroyed blindly. */
function unreachable(input: GateInput): Verdict {
  const { target, danger, plan } = input;
  const severe =
    danger.risk === "disruptive" ||
    danger.risk === "destructive" ||
    danger.hazards.includes("fault");
  if (plan || input.resumed || target.state !== "unreachable") return ALLOW;
  if (!severe || !danger.touches) return ALLOW;
  return {
    answer: "refuse",
    gate: "unreachable",
    code: "gate_refused",
    reason: `Nobody could be asked how ${named(target)} is, and ${worst(input)} is ${
      danger.hazards.includes("fault") ? "a fault" : danger.risk
    }`,
    hint: "It may be at work where it can't be seen from here. Mend the way to it, or run pgdba where it can be reached.",
  };
}

/** With the other names of a target that is known by them. */
function named({ name, cluster, clusters }: GateInput["target"]): string {
  const others = clusters.filter((each) => each !== cluster);
  return others.length === 0 ? name : `${name} (known as ${others.join(", ")})`;
}

/** The part that has a hazard: the runbook itself, or a step or a runbook by name. */
function whose({ danger, runbook }: GateInput, hazard: Hazard): string {
  return told(danger.who.hazards[hazard], runbook);
}

/** The part that has the risk of the run. */
function worst({ danger, runbook }: GateInput): string {
  return told(
    danger.hazards.includes("fault") ? danger.who.hazards["fault"] : danger.who.risk,
    runbook,
  );
}

function fault(input: GateInput): Verdict {
  if (input.plan || input.resumed || !input.danger.hazards.includes("fault")) return ALLOW;
  const { flags } = input;
  const missing = [
    ...(flags.iKnowWhatIAmDoing ? [] : ["--i-know-what-i-am-doing"]),
    ...(flags.explicitCluster ? [] : ["--cluster NAME"]),
  ];
  if (missing.length === 0) return ALLOW;
  return {
    answer: "refuse",
    gate: "fault",
    code: "gate_refused",
    reason: `${whose(input, "fault")} breaks things on purpose and was not given ${missing.join(" and ")}`,
    hint: `Add ${missing.join(" ")} when that is what you want.`,
    opens: missing,
  };
}

/** All rules that match hold: none can open what another closes. A plan only reads, so it counts as a read. */
function rulesOf(input: GateInput, action: PolicyRule["action"]): PolicyRule[] {
  const { risk, hazards, steps } = input.danger;
  const run = {
    ...input,
    steps,
    ...(input.plan ? { risk: "read", hazards: [] } : { risk, hazards }),
  };
  return input.policy.filter((rule) => rule.action === action && matchesRule(rule, run));
}

function approval(input: GateInput): Verdict {
  const rules = input.plan ? [] : rulesOf(input, "approve");
  return rules.length === 0 ? ALLOW : { answer: "approve", gate: "approval", rules };
}

function forbidden(input: GateInput): Verdict {
  const [rule] = rulesOf(input, "refuse");
  if (rule === undefined) return ALLOW;
  const unknown = input.caller === null && rule.match.caller !== undefined;
  const whom = unknown ? "a caller that nobody knows" : input.caller;
  const where = input.target.state === "none" ? "" : ` on ${named(input.target)}`;
  return {
    answer: "refuse",
    gate: "policy",
    code: "policy_refused",
    reason: `${input.runbook}${where} is not allowed${whom === null ? "" : ` to ${whom}`}: ${rule.reason ?? `a rule refuses ${JSON.stringify(rule.match)}`}`,
    hint: `The rule stands in ${rule.file}; flags don't open it.${
      unknown ? " Say who is calling with PGDBA_CALLER, or call it from a terminal." : ""
    }`,
  };
}

function asked(input: GateInput): Verdict {
  const [rule] = rulesOf(input, "confirm");
  if (input.plan || rule === undefined) return ALLOW;
  const why = rule.reason ?? "The policy asks for a confirmation";
  return confirmByName(input, "policy", `${why} (${rule.file})`);
}

function target({ danger, target: to, runbook, plan }: GateInput): Verdict {
  if (plan || danger.risk !== "destructive" || to.cluster !== null) return ALLOW;
  return {
    answer: "refuse",
    gate: "target",
    code: "gate_refused",
    reason: `${runbook} is destructive and works on a named cluster only`,
    hint: "Give --cluster NAME.",
    opens: ["--cluster NAME"],
  };
}

function destructive(input: GateInput): Verdict {
  if (input.plan || input.danger.risk !== "destructive") return ALLOW;
  return confirmByName(
    input,
    "destructive",
    `${input.runbook} destroys data of ${input.target.name}`,
  );
}

/** What it does to whom is told by its own summary: some interrupt service, others change for good what is there. */
function disruptive(input: GateInput): Verdict {
  const { danger, flags, target: to, plan, summary } = input;
  if (plan || flags.yes || danger.risk !== "disruptive") return ALLOW;
  return {
    answer: "ask",
    gate: "disruptive",
    question: `${worst(input)} is disruptive on ${to.name}: ${summary.replace(/[.\s]+$/, "")}`,
    expect: null,
    hint: "Look first with --plan, then run again with --yes.",
    opens: ["--yes"],
  };
}

function confirmByName(input: GateInput, gate: string, why: string): Verdict {
  const name = nameOf(input);
  if (input.flags.confirm === name) return ALLOW;
  return {
    answer: "ask",
    gate,
    question: why,
    expect: name,
    hint: `Look first with --plan, then run again with --confirm=${name}.`,
    opens: [`--confirm=${name}`],
  };
}
