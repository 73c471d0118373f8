import { PgdbaError } from "../errors.ts";
import { errorRecord } from "../envelope.ts";
import { evaluate, explain } from "../expr/cel.ts";
import { UnknownValue, unknownOutput } from "../expr/unknown.ts";
import { parseDuration } from "../expr/units.ts";
import type { ActionNode, BlockNode, Json, StepNode, StepResult, StepStatus } from "../types.ts";
import { type Acted, act, isFinal, stepError } from "./act.ts";
import { runBlock } from "./block.ts";
import { call } from "./call.ts";
import { timeoutError } from "./context.ts";
import { runLoop } from "./loop.ts";
import { type RunState, type Scope, variables } from "./state.ts";

const MAX_BACKOFF_MS = 30_000;
const DEFAULT_UNTIL_TIMEOUT = "60s";
const DEFAULT_EVERY = "1s";

/** Runs nodes one after the other; the first that fails ends the rest. */
export async function runNodes(state: RunState, nodes: readonly StepNode[], scope: Scope): Promise<void> {
  for (const node of nodes) await runNode(state, node, scope);
}

async function runNode(state: RunState, node: StepNode, scope: Scope): Promise<void> {
  const path = scope.prefix + node.id;
  if (node.foreach === undefined) {
    await runOne(state, node, scope, path);
    return;
  }
  const started = state.clock.monotonic();
  const startedAt = state.clock.now().toISOString();
  const at = { path, id: node.id, type: "foreach" };
  const finish = (status: StepStatus, output: Json, changed: boolean, error: PgdbaError | null) => {
    const duration_ms = state.clock.monotonic() - started;
    const record = error && errorRecord(error);
    const about = { ...at, status, changed, duration_ms };
    state.summaries.push({ ...about, attempts: 1, error: record && brief(record) });
    state.emit({ kind: "step.finished", ...about, error: record });
    scope.steps[node.id] = {
      status,
      changed,
      attempts: 1,
      started_at: startedAt,
      duration_ms,
      output: isUnknown(status) ? (unknownOutput(path) as Json) : output,
      error: record,
    } satisfies StepResult;
  };
  state.emit({ kind: "step.started", ...at, depth: scope.depth });
  try {
    const { status, output, changed } = await runLoop(state, node, scope, path, runOne);
    finish(status, output, changed, null);
  } catch (thrown) {
    const error = stepError(thrown, scope, node, path);
    finish(error.code === "interrupted" ? "cancelled" : "failed", null, false, error);
    throw error;
  }
}

/** One node without its `foreach`: its condition, its attempts, its record. @returns its result, also put into `scope.steps` */
async function runOne(state: RunState, node: StepNode, scope: Scope, path: string): Promise<StepResult> {
  if (!scope.unwinding) state.stop.soft.throwIfAborted();
  state.stop.hard.throwIfAborted();
  scope.deadline?.throwIfAborted();
  const type = node.node === "action" ? node.type : "block";
  const startedAt = state.clock.now().toISOString();
  const started = state.clock.monotonic();
  let attempts = 1;
  let restored: StepResult | undefined;
  const finish = (status: StepStatus, output: Json, changed: boolean, error: PgdbaError | null): StepResult => {
    const duration = Math.round((state.clock.monotonic() - started) * 1000) / 1000;
    const record = error && errorRecord(error);
    const result = restored ?? {
      status,
      changed,
      attempts,
      started_at: startedAt,
      duration_ms: duration,
      output,
      error: record,
    };
    const at = { path, id: node.id, type };
    if (!restored && node.node === "action") {
      state.journal.outcome(
        state.id,
        { ...at, phase: scope.phase, sensitive: node.sensitive === true },
        result,
      );
    }
    state.summaries.push({
      ...at,
      status,
      changed: result.changed,
      attempts: result.attempts,
      duration_ms: result.duration_ms,
      error: result.error && brief(result.error),
      ...(status === "previewed" ? { preview: output } : {}),
    });
    state.emit({
      kind: "step.finished",
      ...at,
      status,
      changed: result.changed,
      duration_ms: result.duration_ms,
      error: result.error,
    });
    scope.steps[node.id] = isUnknown(status) ? { ...result, output: unknownOutput(path) as Json } : result;
    const entry = state.undo.findLast((one) => one.path === path);
    if (entry) entry.result ??= result;
    return result;
  };

  state.emit({ kind: "step.started", path, id: node.id, type, depth: scope.depth });
  try {
    if (node.when !== undefined && evaluate(node.when, variables(state, scope)) !== true) {
      return finish("skipped", null, false, null);
    }
    for (;;) {
      try {
        const done = await attempt(state, node, scope, path, attempts);
        if (done.restored) restored = done.restored;
        return finish(done.status, done.output, done.changed, null);
      } catch (thrown) {
        if (thrown instanceof UnknownValue) throw thrown;
        const error = stepError(thrown, scope, node, path);
        if (!shouldRetry(state, node, scope, error, attempts)) throw error;
        const delay = Math.min(parseDuration(node.retry?.backoff ?? "1s") * 2 ** (attempts - 1), MAX_BACKOFF_MS);
        attempts += 1;
        state.emit({ kind: "step.retrying", path, attempt: attempts, delay_ms: delay, error: errorRecord(error) });
        await state.clock.sleep(delay, scope.unwinding ? state.stop.hard : state.stop.soft);
      }
    }
  } catch (thrown) {
    if (thrown instanceof UnknownValue && state.plan) return finish("undetermined", null, false, null);
    const error = stepError(thrown, scope, node, path);
    const status = error.code === "interrupted" ? (state.stop.hard.aborted ? "unknown" : "cancelled") : "failed";
    if (status === "unknown" || error.code === "lock_lost" || error.code === "journal_failed") {
      // The journal keeps the step as it is: open, or never started. Nothing may be written in its name now.
      state.summaries.push({
        path,
        id: node.id,
        type,
        status: "unknown",
        changed: false,
        attempts,
        duration_ms: state.clock.monotonic() - started,
        error: brief(error),
      });
      throw error;
    }
    if (error.code === "needs_operator") throw error;
    const result = finish(status, null, false, error);
    if (node.ignore_error && status === "failed") return result;
    throw error;
  }
}

function brief({ code, message }: { code: string; message: string }) {
  return { code, message };
}

function isUnknown(status: StepStatus): boolean {
  return status === "undetermined" || status === "previewed" || status === "not_previewable";
}

function shouldRetry(
  state: RunState,
  node: StepNode,
  scope: Scope,
  error: PgdbaError,
  attempts: number,
): boolean {
  if (!node.retry || attempts >= node.retry.attempts || isFinal(error)) return false;
  if (node.retry.on === undefined) return error.retryable;
  return evaluate(node.retry.on, { ...variables(state, scope), error: errorRecord(error) }) === true;
}

/** One attempt of a node; with `until`, as many reads as it takes within its timeout. */
async function attempt(
  state: RunState,
  node: StepNode,
  scope: Scope,
  path: string,
  attemptNo: number,
): Promise<Acted> {
  const limit = node.timeout ?? (node.until === undefined ? undefined : DEFAULT_UNTIL_TIMEOUT);
  if (limit === undefined) return perform(state, node, scope, path, attemptNo, undefined);
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(timeoutError(path, limit)), parseDuration(limit));
  try {
    if (node.until === undefined) return await perform(state, node, scope, path, attemptNo, deadline.signal);
    return await poll(state, node, scope, { path, attemptNo, limit, deadline });
  } finally {
    clearTimeout(timer);
  }
}

async function poll(
  state: RunState,
  node: StepNode,
  scope: Scope,
  job: { path: string; attemptNo: number; limit: string; deadline: AbortController },
): Promise<Acted> {
  const { path, attemptNo, limit } = job;
  const deadline = job.deadline.signal;
  const ends = state.clock.monotonic() + parseDuration(limit);
  const until = node.until!;
  const every = parseDuration(node.every ?? DEFAULT_EVERY);
  const stop = AbortSignal.any([deadline, scope.unwinding ? state.stop.hard : state.stop.soft]);
  let last = "";
  for (let round = 1; ; round++) {
    try {
      const done = await perform(state, node, scope, path, attemptNo, deadline);
      const vars = { ...variables(state, scope), output: done.output, attempt: round };
      if (done.restored || evaluate(until, vars) === true) return done;
      // What a change would have brought about can't be waited for.
      if (state.plan) throw new UnknownValue(path);
      last = explain(until, vars).text;
    } catch (thrown) {
      if (!(thrown instanceof PgdbaError) || !thrown.retryable || deadline.aborted) {
        throw deadline.aborted && last ? withTrace(deadline.reason, last) : thrown;
      }
      last = thrown.message;
    }
    // The timer may be late, and the clock of a test runs ahead of it.
    if (state.clock.monotonic() >= ends) job.deadline.abort(timeoutError(path, limit));
    try {
      await state.clock.sleep(every, stop);
    } catch (reason) {
      throw deadline.aborted ? withTrace(deadline.reason, last) : reason;
    }
  }
}

function withTrace(reason: unknown, last: string): PgdbaError {
  const base = reason as PgdbaError;
  return new PgdbaError(base.code, `${base.message}; it was last:\n${last}`, { hint: base.hint, cause: base });
}

async function perform(
  state: RunState,
  node: ActionNode | BlockNode,
  scope: Scope,
  path: string,
  attemptNo: number,
  deadline: AbortSignal | undefined,
): Promise<Acted> {
  if (node.node === "block") return runBlock(state, node, scope, path, attemptNo, deadline, runNodes);
  return act({
    state,
    scope,
    node,
    path,
    attempt: attemptNo,
    deadline,
    call: (runbook, params, prefix) => call(state, scope, runbook, params, prefix, runNodes),
  });
}
