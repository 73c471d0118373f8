import { copyOf, type ErrorCode, PgdbaError } from "../errors.ts";
import { judge } from "../gates.ts";
import { skipsBackup, takesBackup } from "../gates/backup.ts";
import type { GateInput, Verdict } from "../gates/verdict.ts";
import { aheadOf, asRun } from "./ahead.ts";
import type { PolicyRule } from "../policy.ts";
import type { Releasers } from "../releasers.ts";
import type { Danger, Union } from "../check/danger.ts";
import { Dangers, gateDanger, type Judged, preceded } from "./judged.ts";
import { doubts, gateInput, knownOf, viewOf } from "./gate-input.ts";
import type { Host, RunRequest } from "./request.ts";
import { settleOrAbort } from "./context.ts";
import { mentionsTarget } from "./mentions.ts";
import type { JsonObject, Target, TargetFacts } from "../types.ts";

/** What is known of a run that the gates let through. */
export interface Entered {
  identity: string | null;
  judged: Judged;
  /** The names of what is locked: a run on the same target has one of them, whether it is up or down. */
  keys: readonly string[];
  /** The clusters that parameters name, which are locked with the target. */
  others: readonly Target[];
  view: JsonObject;
  warnings: string[];
  /** The gates that a person answered on the terminal. */
  answered: readonly string[];
  /** The rules by which a person must approve it. */
  approve: readonly PolicyRule[];
  /** Of a plan: what stands before the run itself; null where nothing does. */
  ahead: JsonObject | null;
}

/** Reaches the target as far as the run needs it, and judges. @throws PgdbaError of the gate that refused, or approval_needed */
export async function passGates(
  host: Host,
  request: RunRequest,
  releasers: Releasers,
): Promise<Entered> {
  const { target, runbook, stop } = request;
  const answered: string[] = [];
  releasers.push(() => target.close());
  try {
    const dangers = new Dangers(host, request);
    const about = isReached(request, await dangers.run())
      ? await settleOrAbort(target.facts(), [], stop.soft)
      : NO_FACTS;
    const known = knownOf(target, about);
    const view = viewOf(target, about, known);
    // Its conditions were decided by the view with which it began.
    const seen = request.resume?.row.view ?? view;
    const union = await dangers.run(seen);
    const backup = await dangers.backup(seen);
    const lacks = [...(backup?.needs.keys() ?? [])].filter(
      (need) => !about.capabilities.includes(need),
    );
    const input = gateInput(request, about, {
      known,
      danger: gateDanger(union.danger(runbook.name)),
      backup: { runbooks: request.backups, lacks },
    });
    const before = request.resume?.row.judged;
    const first = before ? before.backup : takesBackup(input) ? request.backups[0]! : null;
    const danger = preceded(union, first === null ? undefined : backup, runbook.name);
    const withoutBackup = before?.withoutBackup ?? skipsBackup(input);
    assertReached(request, about, danger);
    const judging = { ...input, danger: gateDanger(danger) };
    const verdict = judge(judging);
    // A run that goes on was approved when it began; what may have changed since is judged again above.
    if (verdict.answer === "ask" && !request.resume)
      answered.push(await ask(request, verdict, view));
    if (verdict.answer === "refuse") throw refusal(verdict);
    checkResumed(request, about);
    const named = await judgeOthers(request, judging, releasers);
    const ahead = request.plan
      ? aheadOf([judge(asRun(judging)), ...named.ahead], request.asked.users ?? [])
      : null;
    answered.push(...named.answered);
    const approve = [...(verdict.answer === "approve" ? verdict.rules : []), ...named.approve];
    const { identity } = about;
    const { risk, hazards, locks } = danger;
    const clusters = judging.danger.touches
      ? [target, ...named.others].flatMap(({ cluster }) => cluster ?? [])
      : null;
    const judged = { risk, hazards, locks, backup: first, withoutBackup, clusters };
    const own = hasTarget(target) ? keysOf(request, about, known.clusters) : [];
    const keys = [...own, ...named.keys];
    const warnings = [
      ...(about.warnings ?? []),
      ...doubts(target, about),
      ...movedOn(request.resume?.row.view, view),
    ];
    const { others } = named;
    return { identity, judged, others, keys, view, warnings, answered, approve, ahead };
  } catch (thrown) {
    const closing = releasers.releaseAll().catch(() => {});
    // After a signal it does not wait for a server that does not answer.
    if (!stop.soft.aborted) await closing;
    throw thrown;
  }
}

/** A run that needs what does not answer gets the reason. @throws PgdbaError the target's own */
function assertReached(
  { resume }: RunRequest,
  { why, state, capabilities }: TargetFacts,
  { needs, gives }: Danger,
): void {
  // A run that goes on may itself have taken away words that it needed at its beginning.
  if (why === undefined || resume) return;
  const lacks = needs.some((need) => !capabilities.includes(need));
  // A cluster that there is not is for those who make one.
  const makesNone = state === "absent" && gives.length === 0;
  // A server that does not answer may be down, as its nodes tell, or only out of reach: whoever reads the error needs to know which.
  if (lacks || makesNone) throw copyOf(why, { state });
}

/**
 * Judges the run for each cluster that a parameter names, as if it were the target; its needs, and the backup before it, are those of the target. A run that reads
 * reaches none of them. Gives the names by which they are locked. @throws PgdbaError of the gate that refused
 */
async function judgeOthers(
  request: RunRequest,
  input: GateInput,
  releasers: Releasers,
): Promise<{
  others: readonly Target[];
  keys: string[];
  answered: string[];
  approve: PolicyRule[];
  ahead: Verdict[];
}> {
  const keys: string[] = [];
  const approve: PolicyRule[] = [];
  const answered: string[] = [];
  const ahead: Verdict[] = [];
  // What is done with entries of the registry alone is done with broken ones as well.
  const others = input.danger.touches ? ((await request.others?.()) ?? []) : [];
  for (const other of others) {
    releasers.push(() => other.close());
    const about =
      input.danger.risk === "read"
        ? NO_FACTS
        : await settleOrAbort(other.facts(), [], request.stop.soft);
    const known = knownOf(other, about);
    const { name, cluster, expectedIdentity } = other;
    const { state, identity, capabilities } = about;
    const judging: GateInput = {
      ...input,
      danger: { ...input.danger, needs: [], backup: null },
      target: { name, cluster, state, expectedIdentity, ...known, identity, capabilities },
    };
    const verdict = judge(judging);
    // What the risk asks for is asked once, for the target.
    if (input.plan)
      ahead.push(
        ...[judge(asRun(judging))].filter((one) => one.answer !== "ask" || one.gate === "policy"),
      );
    if (verdict.answer === "refuse") throw refusal(verdict);
    if (verdict.answer === "approve") approve.push(...verdict.rules);
    // What the risk of the run asks is asked for the target.
    if (verdict.answer === "ask" && verdict.gate === "policy" && !request.resume)
      answered.push(
        await ask(request, verdict, { ...about.facts, state, name, cluster, identity }),
      );
    const identities = about.known?.twins
      ? []
      : [identity, expectedIdentity].filter((one) => one !== null);
    keys.push(...new Set([name, ...known.clusters, ...identities]));
  }
  return { others, keys, answered, approve, ahead };
}

/**
 * The names of the target, so that it has a key while it is down, and its identity, so that it has one by every name. An identity that another
 * cluster has, too, would lock that one with it.
 */
function keysOf(
  { target, resume }: RunRequest,
  { identity, known: about, places = [] }: TargetFacts,
  clusters: readonly string[],
): string[] {
  const identities = about?.twins
    ? []
    : [identity, target.expectedIdentity, resume?.row.target.identity];
  const known = identities.filter((one): one is string => typeof one === "string");
  return [...new Set([target.name, ...clusters, ...places, ...known])];
}

const NO_FACTS: TargetFacts = { state: "none", identity: null, capabilities: [], facts: {} };

/**
 * A run that needs nothing of its target, locks nothing of it and says nothing about it connects to nothing, unless it may do more than
 * change something beside it, such as an entry of the registry.
 */
function isReached(
  { target, runbooks }: RunRequest,
  { risk, hazards, needs, gives, locks }: Union,
): boolean {
  if (!hasTarget(target)) return needs.size > 0;
  if (target.absent) return true;
  const touches = [hazards, needs, gives, locks].some((words) => words.size > 0);
  const severe = risk === "disruptive" || risk === "destructive";
  return touches || severe || mentionsTarget(runbooks.values());
}

/** Whether a target was named. */
export function hasTarget({ cluster, use }: Pick<Target, "cluster" | "use">): boolean {
  return cluster !== null || use !== undefined;
}

/** @returns the gate that asked */
async function ask(
  request: RunRequest,
  verdict: {
    question: string;
    expect: string | null;
    hint: string;
    gate: string;
    opens?: readonly string[] | undefined;
  },
  view: JsonObject,
): Promise<string> {
  const yes = await request.asked.confirm?.(verdict.question, verdict.expect, view);
  if (yes) return verdict.gate;
  throw new PgdbaError(
    "approval_needed",
    `${request.runbook.name} needs a confirmation: ${verdict.question}`,
    {
      hint: verdict.hint,
      data: { gate: verdict.gate, opens: [...(verdict.opens ?? [])] },
    },
  );
}

function refusal(verdict: {
  gate: string;
  code: ErrorCode;
  reason: string;
  hint: string;
}): PgdbaError {
  return new PgdbaError(verdict.code, verdict.reason, {
    hint: verdict.hint,
    data: { gate: verdict.gate },
  });
}

/** Another server may lead now, on a timeline that began where the old one was left. */
function movedOn(before: JsonObject | null | undefined, now: JsonObject): string[] {
  const [then, since] = [before?.["timeline"], now["timeline"]];
  if (typeof then !== "number" || typeof since !== "number" || then === since) return [];
  return [
    `The run began on timeline ${then}, and the server is on timeline ${since} now: a standby was promoted, or it was restored, meanwhile. What the run had done just before may be missing there`,
  ];
}

/** A resumed run must meet the server it left. */
function checkResumed(request: RunRequest, about: TargetFacts): void {
  const before = request.resume?.row.target.identity;
  if (!before || before === about.identity) return;
  // One that can't be read is no other one: it may be down, as the run left it. Whatever answers later must be the same.
  if (about.identity === null) return request.target.expect?.(before);
  throw new PgdbaError(
    "identity_mismatch",
    `The run began on system identifier ${before}, but ${request.target.name} answers as ${about.identity}`,
    {
      hint: "The run is tied to the server it began on. Bring that one back under this name, or start anew.",
    },
  );
}
