import { type ErrorCode, PgdbaError } from "../errors.ts";
import { type GateInput, judge } from "../gates.ts";
import type { Releasers } from "../releasers.ts";
import type { RunRequest } from "./request.ts";
import { settleOrAbort } from "./context.ts";
import type { JsonObject, Risk, Target, TargetFacts } from "../types.ts";

/** Reaches the target as far as the run needs it, and judges. @throws PgdbaError of the gate that refused, or approval_needed */
export async function passGates(
  request: RunRequest,
  risk: Risk,
  releasers: Releasers,
): Promise<{
  identity: string | null;
  /** What is locked: it, or all that it shares with targets that may be it. */
  keys: readonly string[];
  view: JsonObject;
  warnings: string[];
}> {
  const { target, runbook, asked, plan, stop } = request;
  releasers.push(() => target.close());
  try {
    const needs = [...new Set([...request.runbooks.values()].flatMap((one) => one.needs))];
    const about = needsTarget(request, needs)
      ? await settleOrAbort(target.facts(), [], stop.soft)
      : NO_FACTS;
    if (needs.length > 0 && about.why) throw about.why;
    const known = knownOf(target, about);
    const view: JsonObject = {
      ...about.facts,
      state: about.state,
      name: target.name,
      cluster: target.cluster,
      labels: [...known.labels],
      ownership: known.ownership,
      capabilities: about.capabilities,
      identity: about.identity,
    };
    const verdict = judge({
      runbook: runbook.name,
      names: [
        ...new Set([runbook, ...request.runbooks.values()].flatMap(({ doc }) => doc.lineage)),
      ],
      risk,
      needs,
      plan,
      target: {
        name: target.name,
        cluster: target.cluster,
        expectedIdentity: target.expectedIdentity,
        ...known,
        identity: about.identity,
        capabilities: about.capabilities,
      },
      flags: asked.flags,
      caller: asked.caller.name,
      policy: asked.policy,
      backupRunbook: asked.backupRunbook,
    });
    // A run that goes on was approved when it began; what may have changed since is judged again above.
    if (verdict.answer === "ask" && !request.resume) await ask(request, verdict, view);
    if (verdict.answer === "refuse") throw refusal(verdict);
    checkResumed(request, about);
    const { identity, places = [target.name] } = about;
    const keys = identity === null ? places : [identity];
    return { identity, keys, view, warnings: doubts(target, about) };
  } catch (thrown) {
    const closing = releasers.releaseAll().catch(() => {});
    // Told to stop, it does not wait for a server that does not answer.
    if (!stop.soft.aborted) await closing;
    throw thrown;
  }
}

/** What all entries of the registry for this target say together. */
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

/** Where what the registry says may not be all that holds. */
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
    `The labels of ${name} hold by this name alone. Add \`system_identifier: "${identity}"\` to its file, and they hold however the server is reached.`,
  ];
}

const NO_FACTS: TargetFacts = { state: "none", identity: null, capabilities: [], facts: {} };

/** A runbook that needs nothing of a target that has no name and no expected identity never connects. */
function needsTarget(request: RunRequest, needs: string[]): boolean {
  const { target } = request;
  return needs.length > 0 || target.cluster !== null || target.connection !== null;
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
  throw new PgdbaError(
    "identity_mismatch",
    `The run began on system identifier ${before}, but ${request.target.name} answers as ${about.identity ?? "unknown"}`,
    {
      hint: "The run is tied to the server it began on. Bring that one back under this name, or start anew.",
    },
  );
}
