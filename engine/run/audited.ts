import { sha256 } from "../journal/audit.ts";
import { canonical } from "../journal/canonical.ts";
import { type Holder, thisProcess } from "../journal/holder.ts";
import { type PgdbaError, toPgdbaError } from "../errors.ts";
import type { Json, JsonObject } from "../types.ts";
import type { Asked, Host, RunRequest } from "./request.ts";

/**
 * What was said to the gates, as the audit keeps it: the flags that were given, the gates that a person answered, the users of the operating system behind
 * it, which no variable can change, and the policy in force.
 */
export function saidToGates(
  { flags, policy, users = [] }: Pick<Asked, "flags" | "policy" | "users">,
  answered: readonly string[],
): JsonObject {
  const { explicitCluster: _, ...said } = flags;
  const given = Object.entries(said).filter(([, value]) => value !== false && value !== null);
  return {
    flags: Object.fromEntries(given),
    answered: [...answered],
    users: [...users],
    policy: policyDigest(policy),
  };
}

/** Null where no policy is in force. */
function policyDigest(policy: Asked["policy"]): string | null {
  return policy.length === 0 ? null : sha256(canonical(policy as unknown as Json));
}

const REFUSALS: ReadonlySet<string> = new Set([
  "approval_needed",
  "gate_refused",
  "policy_refused",
  "identity_mismatch",
  "capability_missing",
]);

/** Puts a run that a gate did not let begin into the audit. @returns the same error: a journal that can't be written makes no refusal a yes */
export function auditRefusal(host: Host, request: RunRequest, thrown: unknown): PgdbaError {
  const error = toPgdbaError(thrown);
  if (!REFUSALS.has(error.code)) return error;
  const { runbook, target, plan, resume, asked } = request;
  const by: Holder = { ...thisProcess(), caller: asked.caller };
  const about = {
    runbook: runbook.name,
    target: target.name,
    plan,
    by,
    code: error.code,
    why: error.message,
    ...(error.data === undefined ? {} : { data: error.data }),
    said: saidToGates(asked, []),
  };
  try {
    host.journal.audit({
      kind: "refused",
      at: host.clock.now().toISOString(),
      run: resume?.row.id ?? null,
      about: about as unknown as JsonObject,
    });
  } catch {
    // The refusal is what is told.
  }
  return error;
}
