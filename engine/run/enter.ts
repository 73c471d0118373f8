import { type ErrorCode, PgdbaError } from "../errors.ts";
import { type GateInput, judge } from "../gates.ts";
import type { PolicyRule } from "../policy.ts";
import type { Releasers } from "../releasers.ts";
import type { RunRequest } from "../run.ts";
import { settleOrAbort } from "./context.ts";
import type { JsonObject, Risk, TargetFacts } from "../types.ts";

/** What the caller brought to the gates, and the way to ask a person. */
export interface Asked {
  flags: GateInput["flags"];
  caller: string;
  policy: readonly PolicyRule[];
  backupRunbook: boolean;
  /** Asks on a terminal; undefined when nobody can answer. */
  confirm:
    | ((question: string, expect: string | null, target: JsonObject) => Promise<boolean>)
    | undefined;
}

/** Reaches the target as far as the run needs it, and judges. @throws PgdbaError of the gate that refused, or approval_needed */
export async function passGates(
  request: RunRequest,
  risk: Risk,
  releasers: Releasers,
): Promise<{ identity: string | null; view: JsonObject }> {
  const { target, runbook, asked, plan, stop } = request;
  releasers.push(() => target.close());
  try {
    const needs = [...new Set([...request.runbooks.values()].flatMap((one) => one.needs))];
    const about = needsTarget(request, needs)
      ? await settleOrAbort(target.facts(), [], stop.soft)
      : NO_FACTS;
    const view: JsonObject = {
      ...about.facts,
      name: target.name,
      cluster: target.cluster,
      labels: [...target.labels],
      ownership: target.ownership,
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
        ...target,
        labels: target.labels,
        identity: about.identity,
        capabilities: about.capabilities,
      },
      flags: asked.flags,
      caller: asked.caller,
      policy: asked.policy,
      backupRunbook: asked.backupRunbook,
    });
    // A run that goes on was approved when it began; what may have changed since is judged again above.
    if (verdict.answer === "ask" && !request.resume) await ask(request, verdict, view);
    if (verdict.answer === "refuse") throw refusal(verdict);
    checkResumed(request, about);
    return { identity: about.identity, view };
  } catch (thrown) {
    const closing = releasers.releaseAll().catch(() => {});
    // Told to stop, it does not wait for a server that does not answer.
    if (!stop.soft.aborted) await closing;
    throw thrown;
  }
}

const NO_FACTS: TargetFacts = { identity: null, capabilities: [], facts: {} };

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
