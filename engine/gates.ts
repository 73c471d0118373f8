import type { Hazard, Risk, TargetState } from "./types.ts";
import { hasLabel, matchesRule, type PolicyRule } from "./policy.ts";

/** Everything a gate may look at. Nothing else decides whether a run may act. */
export interface GateInput {
  runbook: string;
  /** All names that it is judged by: its own, those of what it calls, however deep, and of what all of these extend or replace. */
  names: readonly string[];
  /** The acts of the runbook with these parameters on this target, and of all that it calls: see check/danger.ts. */
  danger: {
    risk: Risk;
    hazards: readonly Hazard[];
    /** The words that the target must have when it begins. */
    needs: readonly string[];
    /** The step types that would run. */
    steps: readonly string[];
    /** The first that asks for a verified backup, in words. */
    backup: string | null;
    /** True when it uses, changes or locks anything of the target. */
    touches: boolean;
    /** In words, the part that has the risk, and the first that has each hazard or needs each word. */
    who: { risk: string; hazards: Record<string, string>; needs: Record<string, string> };
  };
  plan: boolean;
  /** It goes on: what it needs, and whether it may break things, was asked when it began. */
  resumed: boolean;
  target: {
    name: string;
    cluster: string | null;
    state: TargetState;
    /** All names, labels and the strictest ownership that the registry has for it, by whichever way it was reached. */
    clusters: readonly string[];
    labels: readonly string[];
    ownership: "managed" | "connected" | "none";
    /** The faults of registry entries that can't be read; any of them may be about this target. */
    unread: readonly string[];
    identity: string | null;
    expectedIdentity: string | null;
    capabilities: readonly string[];
    /** What to do about a word that it lacks. */
    ways?: Readonly<Record<string, string | undefined>> | undefined;
  };
  flags: {
    yes: boolean;
    confirm: string | null;
    iKnowWhatIAmDoing: boolean;
    explicitCluster: boolean;
    /** The cluster whose data may be lost without a backup. */
    withoutBackup: string | null;
  };
  /** Null when nobody knows. */
  caller: string | null;
  policy: readonly PolicyRule[];
  /** The runbooks that give a verified backup, one of which can be run first, and what the target lacks for it. */
  backup: { runbooks: readonly string[]; lacks: readonly string[] };
}

export type Verdict =
  | { answer: "allow" }
  | {
      answer: "refuse";
      gate: string;
      code: "gate_refused" | "policy_refused" | "identity_mismatch" | "capability_missing";
      reason: string;
      hint: string;
      /** The flags that open it; no flag does without them. */
      opens?: readonly string[];
    }
  /** May be answered on a terminal: by `y` when `expect` is null, else by typing `expect`. */
  | {
      answer: "ask";
      gate: string;
      question: string;
      expect: string | null;
      hint: string;
      opens: readonly string[];
    };

type Gate = (input: GateInput) => Verdict;
const ALLOW: Verdict = { answer: "allow" };

/** In this order. Those of one group are told together: whoever heeds one must not learn of the next only then. */
const GATES: readonly (readonly Gate[])[] = [
  // While these stand, nothing else is sure.
  [identity],
  [registry],
  // That it is never allowed is said before what would be missing for it.
  [production, connected, forbidden],
  [capabilities],
  [unreachable],
  // What a person can say.
  [fault, asked, target, backup, destructive, disruptive],
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
  const questions = verdicts.filter((one) => one.answer === "ask");
  const flags = [...new Set([...refusals, ...questions].flatMap(({ opens = [] }) => opens))];
  const [first] = refusals;
  const [question] = questions;
  const all =
    verdicts.length > 1 && flags.length > 1 ? ` All that it needs: ${flags.join(" ")}.` : "";
  if (first === undefined)
    return question === undefined ? ALLOW : { ...question, hint: question.hint + all };
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

function told(who: string | undefined, runbook: string): string {
  return who === undefined || who === `\`${runbook}\`` ? runbook : `${runbook}, by ${who},`;
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

/** The strictest of the rules that match holds: none can open what another closes. A plan only reads, so it counts as a read. */
function ruleOf(input: GateInput): PolicyRule | undefined {
  const { risk, hazards, steps } = input.danger;
  const run = {
    ...input,
    steps,
    ...(input.plan ? { risk: "read", hazards: [] } : { risk, hazards }),
  };
  const rules = input.policy.filter((candidate) => matchesRule(candidate, run));
  return rules.find(({ action }) => action === "refuse") ?? rules[0];
}

function forbidden(input: GateInput): Verdict {
  const rule = ruleOf(input);
  if (rule?.action !== "refuse") return ALLOW;
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
  const rule = ruleOf(input);
  if (input.plan || rule?.action !== "confirm") return ALLOW;
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

/** True when a verified backup is taken before the run acts. */
export function takesBackup(input: GateInput): boolean {
  return wantsBackup(input) && input.flags.withoutBackup === null && isBackupThere(input);
}

/** True when one would be taken, and a person said that the run goes on without it. */
export function skipsBackup(input: GateInput): boolean {
  return wantsBackup(input) && input.flags.withoutBackup !== null;
}

/** A cluster that is absent, or there only in part, has no data to lose. */
function wantsBackup({ danger, target: { state }, runbook, plan, backup }: GateInput): boolean {
  if (plan || danger.backup === null || backup.runbooks.includes(runbook)) return false;
  return state !== "partial" && state !== "absent";
}

function isBackupThere({ backup: { runbooks, lacks } }: GateInput): boolean {
  return runbooks.length === 1 && lacks.length === 0;
}

function backup(input: GateInput): Verdict {
  if (input.resumed || !wantsBackup(input)) return ALLOW;
  const { danger, flags, runbook, target: to } = input;
  const name = nameOf(input);
  if (flags.withoutBackup === name) return ALLOW;
  if (flags.withoutBackup === null && isBackupThere(input)) return ALLOW;
  const { runbooks, lacks } = input.backup;
  const [only] = runbooks;
  const why =
    flags.withoutBackup !== null
      ? `--without-backup names ${flags.withoutBackup}, and the run is on ${name}`
      : only === undefined
        ? "there is no runbook that takes a verified backup first"
        : runbooks.length > 1
          ? `several runbooks would take a verified backup first: ${runbooks.join(", ")}`
          : `${only}, which would take a verified backup first, needs ${lacks.join(", ")}, which ${to.name} does not have`;
  return {
    answer: "refuse",
    gate: "backup",
    code: "gate_refused",
    reason: `${told(danger.backup ?? undefined, runbook)} may lose data for good, and ${why}`,
    hint:
      runbooks.length > 1
        ? "Let one of them only say `gives: [verified_backup]`; an empty list takes it back from one that extends another."
        : `Add a runbook with \`gives: [verified_backup]\` whose output has \`verified: true\`; to go on without any, give --without-backup=${name}.`,
    opens: [`--without-backup=${name}`],
  };
}

/** The name that a person says once more; of what is destructive without a named cluster, the one that is still to be named. */
function nameOf({ danger, target: { cluster, name } }: GateInput): string {
  return cluster ?? (danger.risk === "destructive" ? "NAME" : name);
}

function destructive(input: GateInput): Verdict {
  if (input.plan || input.danger.risk !== "destructive") return ALLOW;
  return confirmByName(
    input,
    "destructive",
    `${input.runbook} destroys data of ${input.target.name}`,
  );
}

function disruptive({ danger, flags, runbook, target: to, plan }: GateInput): Verdict {
  if (plan || flags.yes || danger.risk !== "disruptive") return ALLOW;
  return {
    answer: "ask",
    gate: "disruptive",
    question: `${runbook} interrupts service on ${to.name}`,
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
