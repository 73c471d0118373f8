import { PgdbaError } from "../errors.ts";
import type { RunRow } from "../journal/journal.ts";
import { Bounded } from "./bounded.ts";
import { MAX_STEPS } from "./pace.ts";
import { answerOf } from "./question.ts";
import type { Host, RunRequest } from "./request.ts";
import { parentsOf, type RunState } from "./state.ts";
import { recordedError } from "./step-error.ts";
import { interrupted } from "./stop.ts";

/** Steps and warnings beyond these are counted, not listed; the journal has all steps. */
const MAX_LISTED = 200;
const MAX_WARNINGS = 100;

/** The state of a run before its first step; that of a resumed run knows what an earlier process recorded. */
export function newState(
  host: Host,
  request: RunRequest,
  made: Pick<RunState, "id" | "startedAt" | "judged" | "releasers" | "emit" | "targetView">,
): RunState {
  const { journal, registry, library, secrets, clock, env, cwd, stateDir } = host;
  const rows = request.resume ? journal.steps(made.id) : [];
  const saw = request.resume ? journal.seen(made.id) : new Map<string, never>();
  // A run that was told to stop stays stopped: what is left of it is the unwinding.
  if (request.resume?.row.cancelled && request.stop.reason === null)
    request.stop.request(request.resume.row.cancelled);
  return {
    ...made,
    journal,
    registry,
    library,
    secrets,
    clock,
    env,
    cwd,
    stateDir,
    plan: request.plan,
    readOnly: request.plan || request.asked.flags.readOnly === true,
    oneRound: host.oneRound ?? false,
    runbooks: request.runbooks,
    topRunbook: request.runbook.name,
    target: request.target,
    caller: request.asked.caller.name,
    stop: request.stop,
    resources: new Map(),
    over: request.resume ? overSince(request.resume.row) : null,
    visited: new Set(),
    moved: new Map(),
    covered: new Set(),
    memo: new Map(rows.map((row) => [row.path, row])),
    saw,
    notes: new Map(),
    stale: [],
    asking: null,
    ask: request.asked.confirm,
    answer: answerOf(request),
    views: new Set(),
    inner: parentsOf([...rows.map((row) => row.path), ...saw.keys()]),
    again: new Set(),
    asked: new Set(),
    once: new Set(),
    begun: { count: 0, limit: host.maxSteps ?? MAX_STEPS },
    undo: [],
    deferred: [],
    kept: [],
    cutShort: [],
    summaries: new Bounded(MAX_LISTED),
    warnings: new Bounded(MAX_WARNINGS),
    ahead: null,
    lock: null,
  };
}

/** A run that was told to stop, or had begun to be taken back, is not gone on with in any other way. */
function overSince({ id, cancelled, unwinding }: RunRow): RunState["over"] {
  if (cancelled === null && unwinding === null) return null;
  const why = unwinding ? recordedError(unwinding) : interrupted(cancelled!, id);
  const { code, message, hint } = why;
  return { why, instead: new PgdbaError(code, message, { hint, final: false }) };
}
