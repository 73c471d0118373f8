import { type Risk, RISKS } from "./types.ts";
import { hasLabel, matchesRule, type PolicyRule } from "./policy.ts";

/** Everything a gate may look at. Nothing else decides whether a run may act. */
export interface GateInput {
  runbook: string;
  /** All names that it is judged by: its own, those of what it calls, however deep, and of what all of these extend or replace. */
  names: readonly string[];
  /** The highest risk of the runbook and of all it calls. */
  risk: Risk;
  needs: readonly string[];
  plan: boolean;
  target: {
    name: string;
    cluster: string | null;
    /** All names, labels and the strictest ownership that the registry has for it, by whichever way it was reached. */
    clusters: readonly string[];
    labels: readonly string[];
    ownership: "managed" | "connected" | "none";
    /** What is wrong with entries of the registry that can't be read; any may speak of this target. */
    unread: readonly string[];
    identity: string | null;
    expectedIdentity: string | null;
    capabilities: readonly string[];
  };
  flags: {
    yes: boolean;
    confirm: string | null;
    iKnowWhatIAmDoing: boolean;
    explicitCluster: boolean;
  };
  /** Null when nobody knows. */
  caller: string | null;
  policy: readonly PolicyRule[];
  /** A runbook that takes a verified backup is there to be run first. */
  backupRunbook: boolean;
}

export type Verdict =
  | { answer: "allow" }
  | {
      answer: "refuse";
      gate: string;
      code: "gate_refused" | "policy_refused" | "identity_mismatch" | "capability_missing";
      reason: string;
      hint: string;
    }
  /** May be answered on a terminal: by `y` when `expect` is null, else by typing `expect`. */
  | { answer: "ask"; gate: string; question: string; expect: string | null; hint: string };

type Gate = (input: GateInput) => Verdict;
const ALLOW: Verdict = { answer: "allow" };

/** Runbooks that break things on purpose live here. */
const CHAOS = /^chaos\//;
/** The runbook that removes a cluster. */
const DESTROYS_CLUSTER = "cluster/destroy";

const GATES: readonly Gate[] = [
  identity,
  registry,
  capabilities,
  production,
  connected,
  chaos,
  policy,
  target,
  backup,
  destructive,
  disruptive,
];

/** All gates, in order; a refusal anywhere wins over a question. Pure. */
export function judge(input: GateInput): Verdict {
  const verdicts = GATES.map((gate) => gate(input));
  return (
    verdicts.find((v) => v.answer === "refuse") ?? verdicts.find((v) => v.answer === "ask") ?? ALLOW
  );
}

function identity({ target }: GateInput): Verdict {
  if (target.expectedIdentity === null || target.identity === target.expectedIdentity) return ALLOW;
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

function registry({ target, risk, plan }: GateInput): Verdict {
  const [unread] = target.unread;
  if (plan || risk === "read" || unread === undefined) return ALLOW;
  return {
    answer: "refuse",
    gate: "registry",
    code: "gate_refused",
    reason: `What the registry says of ${target.name} is not wholly known: ${unread}`,
    hint: "That file may forbid what you are about to do. Mend it, or move it away.",
  };
}

function capabilities({ needs, target, runbook }: GateInput): Verdict {
  const missing = needs.filter((need) => !target.capabilities.includes(need));
  if (missing.length === 0) return ALLOW;
  const nameless = target.ownership === "none" && target.capabilities.length === 0;
  return {
    answer: "refuse",
    gate: "capabilities",
    code: "capability_missing",
    reason: nameless
      ? `${runbook} needs a target (${missing.join(", ")}), and none is named`
      : `${runbook} needs ${missing.join(", ")}, which ${target.name} does not have`,
    hint: nameless
      ? "Name a target: --cluster NAME (try --cluster lab), or --host/--port/--user/--database, or PGDBA_PG_HOST."
      : `It has: ${target.capabilities.join(", ") || "nothing"}. Choose another target or runbook.`,
  };
}

function production(input: GateInput): Verdict {
  const { target, risk, runbook, plan } = input;
  if (plan || !hasLabel(target, "production")) return ALLOW;
  const breaking = chaosAmong(input);
  if (risk !== "destructive" && breaking === undefined) return ALLOW;
  return {
    answer: "refuse",
    gate: "production",
    code: "gate_refused",
    reason: `${named(target)} is labelled production; ${breaking === undefined ? `${runbook} is destructive` : `${by(input, breaking)} is a chaos runbook`}`,
    hint: "No flag opens this. Run it on another cluster, or take the label off the cluster's file.",
  };
}

function connected({ target, names }: GateInput): Verdict {
  if (!names.includes(DESTROYS_CLUSTER) || target.ownership === "managed") return ALLOW;
  return {
    answer: "refuse",
    gate: "connected",
    code: "gate_refused",
    reason: `${named(target)} was not made by pgdba, so pgdba does not destroy it`,
    hint: "Forget it instead, by removing its file from the state folder's clusters/.",
  };
}

/** With the other names of a target that is known by them. */
function named({ name, cluster, clusters }: GateInput["target"]): string {
  const others = clusters.filter((each) => each !== cluster);
  return others.length === 0 ? name : `${name} (known as ${others.join(", ")})`;
}

function chaosAmong({ names }: GateInput): string | undefined {
  return names.find((name) => CHAOS.test(name));
}

function by({ runbook }: GateInput, name: string): string {
  return name === runbook ? name : `${name} (which ${runbook} calls, extends or replaces)`;
}

function chaos(input: GateInput): Verdict {
  const breaking = chaosAmong(input);
  if (input.plan || breaking === undefined) return ALLOW;
  const { flags } = input;
  const missing = [
    ...(flags.iKnowWhatIAmDoing ? [] : ["--i-know-what-i-am-doing"]),
    ...(flags.explicitCluster ? [] : ["--cluster NAME"]),
  ];
  if (missing.length === 0) return ALLOW;
  return {
    answer: "refuse",
    gate: "chaos",
    code: "gate_refused",
    reason: `${by(input, breaking)} breaks things on purpose and was not given ${missing.join(" and ")}`,
    hint: `Add ${missing.join(" ")} when that is what you want.`,
  };
}

/** Of the rules that match, the strictest holds: none can open what another closes. A plan only reads, so it counts as such. */
function policy(input: GateInput): Verdict {
  const run = input.plan ? { ...input, risk: "read" } : input;
  const rules = input.policy.filter((candidate) => matchesRule(candidate, run));
  const rule = rules.find(({ action }) => action === "refuse") ?? rules[0];
  if (!rule || (input.plan && rule.action === "confirm")) return ALLOW;
  if (rule.action === "confirm") {
    return confirmByName(
      input,
      "policy",
      `${rule.reason ?? "The policy asks for a confirmation"} (${rule.file})`,
    );
  }
  const unknown = input.caller === null && rule.match.caller !== undefined;
  const whom = unknown ? "a caller that nobody knows" : input.caller;
  return {
    answer: "refuse",
    gate: "policy",
    code: "policy_refused",
    reason: `${input.runbook} on ${named(input.target)} is not allowed${whom === null ? "" : ` to ${whom}`}: ${rule.reason ?? "policy"}`,
    hint: `The rule stands in ${rule.file}; flags don't open it.${
      unknown ? " Say who is calling with PGDBA_CALLER, or call it from a terminal." : ""
    }`,
  };
}

function target({ risk, target: to, runbook, plan }: GateInput): Verdict {
  if (plan || risk !== "destructive" || to.cluster !== null) return ALLOW;
  return {
    answer: "refuse",
    gate: "target",
    code: "gate_refused",
    reason: `${runbook} is destructive and works on a named cluster only`,
    hint: "Give --cluster NAME.",
  };
}

function backup({ risk, backupRunbook, runbook, plan }: GateInput): Verdict {
  if (plan || risk !== "destructive" || backupRunbook) return ALLOW;
  return {
    answer: "refuse",
    gate: "backup",
    code: "gate_refused",
    reason: `${runbook} is destructive and no runbook backup/create is there to take a verified backup first`,
    hint: "Add a runbook backup/create whose output has `verified: true`.",
  };
}

function destructive(input: GateInput): Verdict {
  if (input.plan || input.risk !== "destructive") return ALLOW;
  return confirmByName(
    input,
    "destructive",
    `${input.runbook} destroys data of ${input.target.name}`,
  );
}

function disruptive({ risk, flags, runbook, target: to, plan }: GateInput): Verdict {
  if (plan || flags.yes || risk !== "disruptive") return ALLOW;
  return {
    answer: "ask",
    gate: "disruptive",
    question: `${runbook} interrupts service on ${to.name}`,
    expect: null,
    hint: "Look first with --plan, then run again with --yes.",
  };
}

function confirmByName({ flags, target: to }: GateInput, gate: string, why: string): Verdict {
  const name = to.cluster ?? to.name;
  if (flags.confirm === name) return ALLOW;
  return {
    answer: "ask",
    gate,
    question: why,
    expect: name,
    hint: `Look first with --plan, then run again with --confirm=${name}.`,
  };
}

export function highestRisk(risks: Iterable<Risk>): Risk {
  let highest: Risk = "read";
  for (const risk of risks) if (RISKS.indexOf(risk) > RISKS.indexOf(highest)) highest = risk;
  return highest;
}
