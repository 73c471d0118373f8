import { errorRecord } from "./envelope.ts";
import { PgdbaError, toPgdbaError } from "./errors.ts";
import { freeze } from "./journal/docs.ts";
import { type Holder, thisProcess } from "./journal/holder.ts";
import type { RunRow, Said } from "./journal/journal.ts";
import { Releasers } from "./releasers.ts";
import { checkAnswers } from "./run/answers.ts";
import { Bounded } from "./run/bounded.ts";
import { call, secretParams } from "./run/call.ts";
import { circumstances } from "./run/circumstances.ts";
import { firstRefusals } from "./run/first-refusals.ts";
import { deadRuns } from "./run/dead-runs.ts";
import { assertNothingAtWork, jobPaths, leftBehind } from "./run/left-behind.ts";
import { passGates } from "./run/enter.ts";
import { asObject, finish, type Worked } from "./run/finish.ts";
import { assertAssembled, Kept } from "./run/kept.ts";
import { type Judged, judgedRow } from "./run/judged.ts";
import { takeLocks } from "./run/locks.ts";
import { runSteps } from "./run/step.ts";
import { assertAllVisited } from "./run/not-visited.ts";
import { outputOf, partialOutput } from "./run/output.ts";
import type { Host, RunOutcome, RunRequest } from "./run/request.ts";
import { NOTHING_HIDDEN, type Watch, withoutValues } from "./run/sensitive.ts";
import { MAX_STEPS } from "./run/pace.ts";
import { recordedError, withheld } from "./run/step-error.ts";
import { withoutUndone } from "./run/seen.ts";
import { parentsOf, type RunState, type Scope, variables } from "./run/state.ts";
import { interrupted } from "./run/stop.ts";
import { forgetAll, unwind, type Unwound } from "./run/unwind.ts";
import type { Json, JsonObject, Runbook } from "./types.ts";

/** The path in a run for the steps of the backup before a destructive runbook. */
export const BACKUP_PATH = "backup_before";

/** Steps and warnings beyond these are counted, not listed; the journal has all steps. */
const MAX_LISTED = 200;
const MAX_WARNINGS = 100;

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

/** The gates, the locks and the record of the run. @throws PgdbaError when it may not begin */
async function begin(host: Host, request: RunRequest): Promise<RunState> {
  const { runbook, target, plan, resume } = request;
  const id = resume?.row.id ?? host.newRunId();
  const startedAt = resume?.row.started_at ?? host.clock.now().toISOString();
  const holder: Holder = { ...thisProcess(), caller: request.asked.caller };
  const releasers = new Releasers();
  const emit: RunState["emit"] = (event) =>
    host.listener(
      host.secrets.redactRecord({ ...event, at: host.clock.now().toISOString(), run: id }),
    );
  const answers = resume
    ? checkAnswers(host.journal.steps(id), host.journal.answers(id), resume.assumed)
    : new Map<string, Said>();
  const entered = await passGates(host, request, releasers);
  const { judged, identity, keys, others, view } = entered;
  try {
    const lock = await takeLocks(host, request, {
      id,
      judged,
      holder,
      keys,
      others,
      emit,
      releasers,
    });
    const jobs = await jobPaths(host.journal, host.registry, id);
    if (resume) await assertNothingAtWork(host.journal, host.clock, id, jobs);
    record(host, request, { id, startedAt, judged, holder, identity, view, answers });
    // The gates have judged what holds now; expressions see what the run began with.
    const targetView = resume?.row.view ?? view;
    const state = makeState(host, request, { id, startedAt, judged, releasers, emit, targetView });
    state.lock = lock;
    if (judged.withoutBackup && !plan)
      state.warnings.push(`No verified backup was taken first: --without-backup=${target.name}`);
    state.warnings.push(...entered.warnings, ...(await deadRuns(host, target.name, id)));
    if (resume) state.warnings.push(...(await leftBehind(host.journal, host.clock, [id], jobs)));
    emit(
      resume
        ? { kind: "run.resumed", runbook: runbook.name }
        : {
            kind: "run.started",
            runbook: runbook.name,
            plan,
            target: target.name,
            steps: runbook.steps.length,
          },
    );
    for (const message of circumstances(request, judged.risk, view, lock && judged.locks))
      emit({ kind: "run.log", message });
    return state;
  } catch (thrown) {
    // The first failure is the one that is reported.
    await closeAll(releasers);
    throw thrown;
  }
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
    output = partialOutput(runbook, variables(state, { ...scope, steps }, watch), shown);
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

function record(
  host: Host,
  request: RunRequest,
  made: {
    id: string;
    startedAt: string;
    judged: Judged;
    holder: Holder;
    identity: string | null;
    view: JsonObject;
    answers: ReadonlyMap<string, Said>;
  },
): void {
  if (request.resume) {
    host.journal.adoptRun(made.id, made.holder, request.resume.row.holder, {
      said: made.answers,
      at: host.clock.now().toISOString(),
    });
    return;
  }
  host.journal.createRun({
    id: made.id,
    runbook: request.runbook.name,
    digest: request.runbook.doc.digest,
    docs: freeze([...request.runbooks.values()].map(({ doc }) => doc)),
    params: request.recordedParams,
    target: { name: request.target.name, identity: made.identity, flags: request.targetFlags },
    risk: made.judged.risk,
    judged: judgedRow(made.judged),
    plan: request.plan,
    holder: made.holder,
    started_at: made.startedAt,
    view: made.view,
  });
}

function makeState(
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
    views: new Set(),
    inner: parentsOf([...rows.map((row) => row.path), ...saw.keys()]),
    again: new Set(),
    asked: new Set(),
    once: new Set(),
    begun: { count: 0, limit: host.maxSteps ?? MAX_STEPS },
    undo: [],
    deferred: [],
    kept: [],
    summaries: new Bounded(MAX_LISTED),
    warnings: new Bounded(MAX_WARNINGS),
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
