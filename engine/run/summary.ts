import { amount } from "../shared/amount.ts";
import type { Json, JsonObject, RunStatus } from "../types.ts";
import type { Judged } from "./judged.ts";
import type { RunState } from "./state.ts";
import type { Unwound } from "./unwind.ts";

/** The summary of the run in the envelope: `data.run`, or `error.run`. */
export function runData(
  state: RunState,
  run: { status: RunStatus; judged: Judged; duration: number; unwound: Unwound; startedAt: string },
): Json {
  const runbook = state.topRunbook;
  const data: JsonObject = {
    id: state.id,
    runbook,
    status: run.status,
    risk: run.judged.risk,
    ...(run.judged.hazards.length === 0 ? {} : { hazards: run.judged.hazards }),
    ...(run.judged.withoutBackup ? { without_backup: true } : {}),
    plan: state.plan,
    // What the run itself will be asked, so that nobody learns of it only then.
    ...(state.ahead === null ? {} : { gate: state.ahead }),
    target: state.target.name,
    caller: state.caller,
    started_at: run.startedAt,
    duration_ms: run.duration,
    audit: state.journal.audited as unknown as JsonObject | null,
    warnings: [
      ...listed(state.warnings),
      ...(state.journal.lost === null ? [] : [state.journal.lost]),
    ],
    steps: state.summaries.listed as unknown as Json,
  };
  if (state.summaries.more > 0) data["steps_not_listed"] = state.summaries.more;
  if (run.unwound.undone > 0 || run.unwound.failed.length > 0) {
    data["undo"] = {
      undone: run.unwound.undone,
      failed: run.unwound.failed.map(({ path, error }) => ({ path, error })) as unknown as Json,
    };
  }
  if (state.kept.length > 0 && run.status !== "ok") {
    data["kept"] = state.kept.map(({ path, steps: { listed, more } }) => ({
      since: path,
      steps: listed,
      ...(more > 0 ? { steps_not_listed: more } : {}),
    }));
  }
  return data;
}

function listed({ listed, more }: RunState["warnings"]): string[] {
  return more === 0
    ? listed
    : [...listed, `${amount(more, "more warning is", "more warnings are")} not listed`];
}
