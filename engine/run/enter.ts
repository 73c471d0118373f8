import { copyOf, type ErrorCode, PgdbaError } from "../errors.ts";
import { judge } from "../gates.ts";
import { skipsBackup, takesBackup } from "../gates/backup.ts";
import type { GateInput } from "../gates/verdict.ts";
import type { Releasers } from "../releasers.ts";
import type { Union } from "../check/danger.ts";
import { Dangers, gateDanger, type Judged, preceded } from "./judged.ts";
import type { Host, RunRequest } from "./request.ts";
import { settleOrAbort } from "./context.ts";
import { mentionsTarget } from "./mentions.ts";
import type { JsonObject, Target, TargetFacts } from "../types.ts";

/** Reaches the target as far as the run needs it, and judges. @throws PgdbaError of the gate that refused, or approval_needed */
export async function passGates(
  host: Host,
  request: RunRequest,
  releasers: Releasers,
): Promise<{
  identity: string | null;
  judged: Judged;
  /** The names of what is locked: a run on the same target has one of them, whether it is up or down. */
  keys: readonly string[];
  /** The clusters that parameters name, which are locked with the target. */
  others: readonly Target[];
  view: JsonObject;
  warnings: string[];
}> {
  const { target, runbook, asked, plan, stop } = request;
  releasers.push(() => target.close());
  try {
    const dangers = new Dangers(host, request);
    const about = isReached(request, await dangers.run())
      ? await settleOrAbort(target.facts(), [], stop.soft)
      : NO_FACTS;
    const known = knownOf(target, about);
    const view: JsonObject = {
      can: {},
      ...about.facts,
      state: about.state,
      name: target.name,
      cluster: target.cluster,
      labels: [...known.labels],
      ownership: known.ownership,
      capabilities: about.capabilities,
      identity: about.identity,
    };
    // Its conditions were decided by the view with which it began.
    const seen = request.resume?.row.view ?? view;
    const union = await dangers.run(seen);
    const backup = await dangers.backup(seen);
    const lacks = [...(backup?.needs.keys() ?? [])].filter(
      (need) => !about.capabilities.includes(need),
    );
    const input: GateInput = {
      runbook: runbook.name,
      names: [
        ...new Set([runbook, ...request.runbooks.values()].flatMap(({ doc }) => doc.lineage)),
      ],
      danger: gateDanger(union.danger(runbook.name)),
      plan,
      resumed: request.resume !== undefined,
      target: {
        name: target.name,
        cluster: target.cluster,
        state: about.state,
        expectedIdentity: target.expectedIdentity,
        ...known,
        identity: about.identity,
        capabilities: about.capabilities,
        ways: about.ways,
      },
      flags: asked.flags,
      caller: asked.caller.name,
      policy: asked.policy,
      backup: { runbooks: request.backups, lacks },
    };
    const before = request.resume?.row.judged;
    const first = before ? before.backup : takesBackup(input) ? request.backups[0]! : null;
    const danger = preceded(union, first === null ? undefined : backup, runbook.name);
    const withoutBackup = before?.withoutBackup ?? skipsBackup(input);
    // The run may itself have taken away words that it needed at its beginning.
    const needs = request.resume ? [] : danger.needs;
    // A server that does not answer may be down, as its nodes tell, or only out of reach: whoever reads the error needs to know which.
    const why = about.why && copyOf(about.why, { state: about.state });
    if (why && needs.some((need) => !about.capabilities.includes(need))) throw why;
    // A cluster that there is not is for those who make one.
    if (why && about.state === "absent" && danger.gives.length === 0 && !request.resume) throw why;
    const verdict = judge({ ...input, danger: gateDanger(danger) });
    // A run that goes on was approved when it began; what may have changed since is judged again above.
    if (verdict.answer === "ask" && !request.resume) await ask(request, verdict, view);
    if (verdict.answer === "refuse") throw refusal(verdict);
    checkResumed(request, about);
    const named = await judgeOthers(request, { ...input, danger: gateDanger(danger) }, releasers);
    const { identity } = about;
    const { risk, hazards, locks } = danger;
    const clusters = gateDanger(danger).touches
      ? [target, ...named.others].flatMap(({ cluster }) => cluster ?? [])
      : null;
    const judged = { risk, hazards, locks, backup: first, withoutBackup, clusters };
    const own = hasTarget(target) ? keysOf(request, about, known.clusters) : [];
    const keys = [...own, ...named.keys];
    const warnings = [...(about.warnings ?? []), ...doubts(target, about)];
    return { identity, judged, others: named.others, keys, view, warnings };
  } catch (thrown) {
    const closing = releasers.releaseAll().catch(() => {});
    // After a signal it does not wait for a server that does not answer.
    if (!stop.soft.aborted) await closing;
    throw thrown;
  }
}

/**
 * Judges the run for each cluster that a parameter names, as if it were the target; its needs, and the backup before it, are those of the target. A run that reads
 * reaches none of them. Gives the names by which they are locked. @throws PgdbaError of the gate that refused
 */
async function judgeOthers(
  request: RunRequest,
  input: GateInput,
  releasers: Releasers,
): Promise<{ others: readonly Target[]; keys: string[] }> {
  const keys: string[] = [];
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
    const verdict = judge({
      ...input,
      danger: { ...input.danger, needs: [], backup: null },
      target: { name, cluster, state, expectedIdentity, ...known, identity, capabilities },
    });
    if (verdict.answer === "refuse") throw refusal(verdict);
    // What the risk of the run asks is asked for the target.
    if (verdict.answer === "ask" && verdict.gate === "policy" && !request.resume)
      await ask(request, verdict, { ...about.facts, state, name, cluster, identity });
    const identities = about.known?.twins
      ? []
      : [identity, expectedIdentity].filter((one) => one !== null);
    keys.push(...new Set([name, ...known.clusters, ...identities]));
  }
  return { others, keys };
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

/** Merges the statements of all entries of the registry for this target. */
function knownOf(
  { cluster, labels, ownership }: Target,
  { known = { as: [], unread: [], loose: false } }: TargetFacts,
): Pick<GateInput["target"], "clusters" | "labels" | "ownership" | "unread"> {
  const { as, unread } = known;
  return {
    clusters: [...(cluster === null ? [] : [cluster]), ...as.map((one) => one.cluster)],
    labels: [...new Set([...labels, ...as.flatMap((one) => one.labels)])],
    // To call it managed allows more, so that is for its own entry to say.
    ownership: as.some((one) => one.ownership === "connected") ? "connected" : ownership,
    unread,
  };
}

/** The reasons why the entries of the registry may not tell everything about the target. */
function doubts({ name }: Target, { identity, known }: TargetFacts): string[] {
  const unread = (known?.unread ?? []).map(
    (why) => `An entry of the registry can't be read: ${why}`,
  );
  if (identity === null && known !== undefined && known.as.length > 0) {
    const names = known.as.map((one) => one.cluster).join(", ");
    return [
      ...unread,
      `${name} does not tell its system identifier, so it may be ${names}: what the registry says of these holds here too. Let its role read the identifier, and only its own holds.`,
    ];
  }
  if (!known?.loose || identity === null) return unread;
  return [
    ...unread,
    `The labels of ${name} hold by this name and address alone. Add \`system_identifier: "${identity}"\` to its file, and they hold however the server is reached.`,
  ];
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

async function ask(
  request: RunRequest,
  verdict: { question: string; expect: string | null; hint: string; gate: string },
  view: JsonObject,
): Promise<void> {
  const yes = await request.asked.confirm?.(verdict.question, verdict.expect, view);
  if (yes) return;
  throw new PgdbaError(
    "approval_needed",
    `${request.runbook.name} needs a confirmation: ${verdict.question}`,
    {
      hint: verdict.hint,
      data: { gate: verdict.gate },
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
