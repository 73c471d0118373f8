import { errorRecord } from "./envelope.ts";
import { PgdbaError, toPgdbaError } from "./errors.ts";
import type { Releasers } from "./releasers.ts";
import { begin } from "./run/begin.ts";
import { call, secretParams } from "./run/call.ts";
import { asObject, finish, type Worked } from "./run/finish.ts";
import { firstRefusals } from "./run/first-refusals.ts";
import { assertAssembled, Kept } from "./run/kept.ts";
import { assertAllVisited } from "./run/not-visited.ts";
import { outputOf, partialOutput } from "./run/output.ts";
import type { Host, RunOutcome, RunRequest } from "./run/request.ts";
import { withoutUndone } from "./run/seen.ts";
import { NOTHING_HIDDEN, type Watch, withoutValues } from "./run/sensitive.ts";
import { type RunState, type Scope, variables } from "./run/state.ts";
import { withheld } from "./run/step-error.ts";
import { runSteps } from "./run/step.ts";
import { forgetAll, unwind, type Unwound } from "./run/unwind.ts";
import type { Json, JsonObject, Runbook } from "./types.ts";

/** The path in a run for the steps of the backup before a destructive runbook. */
export const BACKUP_PATH = "backup_before";

/** Resources that are left open after a second signal get this long to close, ms. */
const FORCED_CLOSE_MS = 1_000;

/**
 * Runs a runbook: gates, locks, steps, and when a step fails the undo phase; then the envelope. Never throws for what happens
 * inside a run: what it throws (usage, gates, a held lock) happened before anything was done.
 */
export async function executeRun(host: Host, request: RunRequest): Promise<RunOutcome> {
  const { stop } = request;
  const started = host.clock.monotonic();
  const state = await begin(host, request);
  announceStops(host, state);
  stop.run = state.id;
  const worked = await work(host, request, state);
  const closing = await Promise.race([
    closeAll(state.releasers),
    ...(stop.hard.aborted ? [host.clock.sleep(FORCED_CLOSE_MS)] : []),
  ]);
  if (closing) state.warnings.push(`Closing failed: ${closing.message}`);
  const duration = Math.round(host.clock.monotonic() - started);
  return finish(host, request, state, { ...worked, duration });
}

/** The steps, and when one fails, the undo phase. */
async function work(host: Host, request: RunRequest, state: RunState): Promise<Worked> {
  const { runbook, stop } = request;
  const scope = topScope(runbook, request.params);
  const watch: Watch = { read: false };
  // Output that was made of sensitive data is shown without its values.
  const shown = (value: Json): Json => {
    const { read, secret } = watch;
    watch.read = false;
    watch.secret = false;
    return read || secret ? withoutValues(value) : value;
  };
  let output: Json;
  let error: PgdbaError | null = null;
  let unwound: Unwound = { undone: 0, touched: [], failed: [], asks: null };
  try {
    const { backup } = state.judged;
    const looks = backup === null ? 0 : await firstRefusals(host.registry, runbook.steps);
    await runSteps(state, runbook.steps.slice(0, looks), scope);
    if (backup !== null) await takeBackup(state, scope, backup);
    await runSteps(state, runbook.steps.slice(looks), scope);
    if (state.over) throw state.over.why;
    // A signal during the last step also makes the run undo that step.
    stop.soft.throwIfAborted();
    output = wholeOutput(request, state, { scope, watch, shown });
    assertAssembled(output, `The output of ${runbook.name}`);
    assertAllVisited(state);
    await forgetAll(state);
  } catch (thrown) {
    error = toPgdbaError(thrown);
    // Another run may hold the lock now and be acting; without a journal no step may act; and an answer may still come.
    const mayAct = !["lock_lost", "journal_failed", "needs_operator", "approval_needed"].includes(
      error.code,
    );
    if (mayAct && !stop.hard.aborted) {
      // The failure that an earlier process met first is the one to report.
      error = state.over?.why ?? error;
      try {
        host.journal.beginUnwinding(state.id, errorRecord(error));
        unwound = await unwind(state);
      } catch (broken) {
        error = toPgdbaError(broken);
      }
    }
    const steps = withoutUndone(scope.steps, runbook.steps, unwound.touched);
    // What a run saw that waited and is given up is of then, and nothing came of it.
    const isGivenUp = state.over !== null && request.resume?.row.status === "waiting";
    const seen = variables(state, { ...scope, steps }, watch);
    output = isGivenUp ? null : partialOutput(runbook, seen, shown);
  }
  const isGoodEnd = runbook.watches && error?.code === "interrupted" && !stop.hard.aborted;
  // A round whose steps could not be undone is no good end.
  if (isGoodEnd && unwound.failed.length === 0 && !unwound.asks) error = null;
  return { output, error, unwound };
}

/** The output of a run whose steps are done. A plan leaves out values that are known only then. */
function wholeOutput(
  { runbook, plan, resume }: RunRequest,
  state: RunState,
  { scope, watch, shown }: { scope: Scope; watch: Watch; shown: (value: Json) => Json },
): Json {
  try {
    return outputOf(
      runbook.output,
      { doc: runbook.doc, path: ["output"] },
      variables(state, scope, watch),
      plan || resume ? () => undefined : undefined,
      shown,
    );
  } catch (thrown) {
    throw watch.read ? withheld(thrown, "The output") : thrown;
  }
}

/** The first signal is on record before anything is unwound, so that a run that then dies is not gone on with. */
function announceStops({ journal }: Host, { id, stop, emit, warnings }: RunState): void {
  const signal = () => stop.reason ?? "a signal";
  const once = { once: true };
  if (!stop.soft.aborted) {
    stop.soft.addEventListener(
      "abort",
      () => {
        emit({ kind: "run.interrupting", signal: signal(), forced: false });
        try {
          journal.markCancelled(id, signal());
        } catch (thrown) {
          // Thrown from here it would end the process. The next thing to be recorded fails by itself.
          warnings.push(toPgdbaError(thrown).message);
        }
      },
      once,
    );
  }
  stop.hard.addEventListener(
    "abort",
    () => emit({ kind: "run.interrupting", signal: signal(), forced: true }),
    once,
  );
}

function topScope(runbook: Runbook, params: JsonObject): Scope {
  return {
    runbook,
    params,
    steps: {},
    extra: {},
    prefix: "",
    depth: 0,
    phase: "main",
    unwinding: false,
    callers: [runbook.name],
    deadline: undefined,
    hidden: { ...NOTHING_HIDDEN, secrets: secretParams(runbook) },
    kept: new Kept(),
    lanes: [],
  };
}

/** The backup that precedes what may lose data. @throws PgdbaError gate_refused when it does not say that it was verified */
async function takeBackup(state: RunState, scope: Scope, runbook: string): Promise<void> {
  const read = { read: false, keys: new Set<string>() };
  const output = await call(
    state,
    scope,
    { name: runbook, given: {}, prefix: `${BACKUP_PATH}/`, read },
    runSteps,
  );
  // The backup outlives the run, however that ends.
  await forgetAll(state);
  if (asObject(output)["verified"] === true) return;
  throw new PgdbaError(
    "gate_refused",
    `The backup that must be taken first was not verified: ${runbook} does not give \`verified: true\``,
    {
      hint: `See the steps under ${BACKUP_PATH}/. Nothing else was done. To go on without a backup, give --without-backup=${state.target.name}.`,
    },
  );
}

async function closeAll(releasers: Releasers): Promise<PgdbaError | undefined> {
  try {
    await releasers.releaseAll();
    return undefined;
  } catch (thrown) {
    return toPgdbaError(thrown);
  }
}
