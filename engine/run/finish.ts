import { isMapping } from "../json.ts";
import { failure, success } from "../envelope.ts";
import { type PgdbaError, toPgdbaError } from "../errors.ts";
import type { Json, JsonObject } from "../types.ts";
import { ending, questionAfter } from "./ending.ts";
import type { Host, RunOutcome, RunRequest } from "./request.ts";
import type { RunState } from "./state.ts";
import { runData } from "./summary.ts";
import type { Unwound } from "./unwind.ts";

/** The results of the steps and of the undo phase. */
export interface Worked {
  output: Json;
  error: PgdbaError | null;
  unwound: Unwound;
}

/** Records the end of a run, tells it, and gives its envelope. */
export function finish(
  host: Host,
  request: RunRequest,
  state: RunState,
  { output, error: failed, unwound, duration }: Worked & { duration: number },
): RunOutcome {
  const { id, judged, startedAt, stop, emit } = state;
  const error = unwound.asks ? questionAfter(unwound.asks, failed) : failed;
  let end = ending(state, error, unwound);
  try {
    if (stop.hard.aborted) host.journal.markOpenUnknown(id);
    if (error?.code !== "journal_failed") {
      const finished_at = host.clock.now().toISOString();
      const steps = !stop.hard.aborted;
      host.journal.finishRun(id, { ...end, finished_at, duration_ms: duration, output, steps });
    }
  } catch (thrown) {
    const broken = toPgdbaError(thrown);
    if (error) state.warnings.push(broken.message);
    else end = ending(state, broken, unwound);
  }
  stop.run = null;
  const { status, exit } = end;
  emit({ kind: "run.finished", status, exit, duration_ms: duration });
  const data = runData(state, { status, judged, duration, unwound, startedAt });
  const now = host.clock.now();
  const envelope = end.error
    ? failure(request.command, now, end.error, output, data)
    : success(request.command, now, { ...asObject(output), run: data });
  return { exit, status, error, envelope: host.secrets.redactEnvelope(envelope) };
}

export function asObject(output: Json): JsonObject {
  return isMapping(output) ? output : {};
}
