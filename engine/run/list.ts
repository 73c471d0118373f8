import { PgdbaError } from "../errors.ts";
import { evaluate } from "../expr/cel.ts";
import { renderInput } from "../expr/render.ts";
import { UnknownValue, unknownOutput } from "../expr/unknown.ts";
import { keyedDigest } from "../journal/digest.ts";
import type { Json, JsonObject, Step, Variables } from "../types.ts";
import { knownIn } from "./known.ts";
import { failureBefore } from "./saw.ts";
import type { Watch } from "./sensitive.ts";
import { type RunState, type Scope, variables } from "./state.ts";

/** More items than this in one loop is a mistake, or work for a query. */
const MAX_ITEMS = 10_000;
/** A list that is longer than this, in characters of JSON, is not kept: only digests of its items are. */
const MAX_RECORDED = 256 * 1024;

/**
 * The list of a loop: the one that an earlier process went by, or else a new one, put on record before its first item begins. What
 * may not be kept is told by digests, so that each item is found again, wherever it stands now; one that is not, is not known.
 */
export function listAsBefore(
  state: RunState,
  step: Step,
  scope: Scope,
  { path, watch, isHidden }: { path: string; watch: Watch; isHidden(): boolean },
): Json[] {
  const ended = scope.unwinding ? undefined : failureBefore(state, path, "end");
  if (ended) throw ended;
  const before = state.saw.get(path)?.list as JsonObject | undefined;
  if (before?.["items"]) return before["items"] as Json[];
  const digest = (item: Json) => keyedDigest(state.stateDir, knownIn(state, item));
  if (before) {
    const now = Map.groupBy(listNow(state, step, scope, watch), digest);
    return (before["digests"] as string[]).map(
      (one, index) => now.get(one)?.shift() ?? lost(`${path}/${index}`),
    );
  }
  const items = listOf(step, variables(state, scope, watch));
  watch.read ||= watch.secret === true;
  if (!state.plan) {
    const secret = isHidden() || holdsSecret(state, items);
    state.journal.saw(state.id, path, "list", secret ? { digests: items.map(digest) } : { items });
  }
  return items;
}

/** @throws PgdbaError expression_failed or limit_exceeded */
export function listOf(step: Step, vars: Variables): Json[] {
  const value =
    typeof step.foreach === "string"
      ? evaluate(step.foreach, vars)
      : renderInput(step.foreach!, {}, vars);
  if (!Array.isArray(value)) {
    throw new PgdbaError(
      "expression_failed",
      `foreach of ${step.id} gave ${typeof value}, not a list`,
      {
        hint: "Give a list, or an expression that yields one.",
      },
    );
  }
  if (value.length > MAX_ITEMS) {
    throw new PgdbaError(
      "limit_exceeded",
      `foreach of ${step.id} has ${value.length} items; at most ${MAX_ITEMS} are run`,
      {
        hint: "Filter the list, or do the work in one statement.",
      },
    );
  }
  return value;
}

/** The list as it is now, for the items of the earlier one that may still be in it. */
function listNow(state: RunState, step: Step, scope: Scope, watch: Watch): Json[] {
  try {
    const items = listOf(step, variables(state, scope, watch));
    watch.read ||= watch.secret === true;
    return items;
  } catch (thrown) {
    if (thrown instanceof UnknownValue || thrown instanceof PgdbaError) return [];
    throw thrown;
  }
}

/** True when the list can't be kept as it is. Neither can a list that is not known in a resumed run. */
function holdsSecret(state: RunState, items: Json[]): boolean {
  const known = knownIn(state, items);
  if (known !== items && JSON.stringify(known).includes("null")) return true;
  const text = JSON.stringify(known);
  return text.length > MAX_RECORDED || JSON.stringify(state.secrets.redactData(known)) !== text;
}

function lost(what: string): Json {
  const why = "was an item of a list that was not kept, and is not in the list that there is now";
  return unknownOutput(what, why) as Json;
}
