import { PgdbaError, toPgdbaError } from "../errors.ts";
import { renderInput } from "../expr/render.ts";
import { unknownOutput, UnknownValue } from "../expr/unknown.ts";
import type { StepRow } from "../journal/journal.ts";
import type {
  ActionNode,
  Effect,
  Json,
  StepContext,
  StepNode,
  StepResult,
  StepType,
} from "../types.ts";
import { checkInput, checkOutput } from "./check-input.ts";
import { makeContext, settleOrAbort } from "./context.ts";
import { knownPart } from "./known.ts";
import { anyOf, hasInner, type RunState, type Scope, type UndoEntry, variables } from "./state.ts";

/** The largest output a step may have, in characters of JSON. */
const MAX_OUTPUT = 16 * 1024 * 1024;

export interface Act {
  state: RunState;
  scope: Scope;
  node: ActionNode;
  path: string;
  attempt: number;
  /** Fired at the step's timeout; undefined without one. */
  deadline: AbortSignal | undefined;
  call(runbook: string, params: { [key: string]: Json }, prefix: string): Promise<Json>;
}

/** How one attempt ended. `restored` results come from the journal of an earlier process. */
export interface Acted {
  output: Json;
  status: "ok" | "recovered" | "previewed" | "not_previewable" | "undetermined";
  changed: boolean;
  effect: Effect;
  restored?: StepResult;
}

/**
 * One attempt of one action: render and check its input, ask the journal whether it already happened, record the intent
 * of a change, then act. @throws whatever made it fail; UnknownValue in plan mode when its input isn't known.
 */
export async function act(job: Act): Promise<Acted> {
  const { state, scope, node, path } = job;
  const type = await state.registry.get(node.type);
  const input = renderedInput(state, scope, node, type);
  checkInput(type, node, input, path);
  const effect = effectOf(type, node.input, input);

  const stop = scope.unwinding || effect === "change" ? state.stop.hard : state.stop.soft;
  const signal = anyOf(stop, scope.deadline, job.deadline)!;
  const prefix = job.attempt === 1 ? `${path}/` : `${path}@${job.attempt}/`;
  const calls: Promise<Json>[] = [];
  const { ctx, told } = makeContext(
    state,
    scope,
    { id: node.id, path, attempt: job.attempt, signal },
    type,
    {
      call(runbook, params) {
        const called = job.call(runbook, params, prefix);
        calls.push(called);
        return called;
      },
    },
  );

  if (state.plan && effect === "change") {
    if (!type.plan) return { output: null, status: "not_previewable", changed: false, effect };
    return { output: await type.plan(ctx, input), status: "previewed", changed: false, effect };
  }

  const row = state.memo.get(path);
  // A step that called runbooks is replayed through them, so that their own steps are restored one by one.
  const replayed = hasInner(state, path);
  if (!row && !replayed) assertMayStart(job, signal);
  const entry = await undoEntry(job, type, input, effect);
  if (row && !replayed) {
    const restored = await restore(job, type, input, row, () => type.probe?.(ctx, input));
    if (restored) {
      entry.result = restored;
      return { output: restored.output, status: "ok", changed: restored.changed, effect, restored };
    }
    assertMayStart(job, signal);
  }

  if (effect === "change") await recordIntent(job, input, entry);
  let output: Json;
  try {
    output = await settleOrAbort(
      running(type, ctx, input),
      scope.unwinding ? [signal] : [signal, state.stop.broken],
      state.stop.hard,
    );
  } catch (thrown) {
    throw node.sensitive ? withheld(thrown, type) : thrown;
  } finally {
    // What it called ends by the same signals, each step in its own time; nothing goes on behind the back of what comes next.
    await Promise.allSettled(calls);
  }
  assertBounded(state.plan ? knownPart(output) : output, path);
  if (node.sensitive) state.secrets.addData(output);
  // In a plan a called runbook's output holds stand-ins for what is not known.
  if (!state.plan) checkOutput(type, output ?? null, path);
  return {
    output: output ?? null,
    status: "ok",
    changed: effect === "change" && !told.unchanged,
    effect,
  };
}

/** A user's type may throw, or give its output, at once. */
async function running(type: StepType, ctx: StepContext, input: Json): Promise<Json> {
  return type.run(ctx, input);
}

/** What a sensitive step says when it fails may hold what its output would have held: nobody knows which part of it. */
function withheld(thrown: unknown, type: StepType): unknown {
  if (thrown instanceof UnknownValue) return thrown;
  const { code, retryable } = toPgdbaError(thrown, "step_failed");
  if (FINAL.has(code)) return thrown;
  return new PgdbaError(
    code,
    `${type.type} failed; what it said is withheld, for the step is sensitive`,
    {
      retryable,
      hint: "To see it, run it by hand, or without `sensitive: true` where nobody reads along.",
    },
  );
}

/** Nothing new begins once the run was told to stop, or its time is over. */
function assertMayStart({ state, scope }: Act, signal: AbortSignal): void {
  if (!scope.unwinding) state.stop.soft.throwIfAborted();
  signal.throwIfAborted();
}

/** What it takes to take the step back, on the stack if that may be needed. A step tried again is taken back once. */
async function undoEntry(
  job: Act,
  type: StepType,
  input: Json,
  effect: Effect,
): Promise<UndoEntry> {
  const { state, scope, node, path } = job;
  const known = job.attempt > 1 ? state.undo.findLast((one) => one.path === path) : undefined;
  if (known) {
    known.tries += 1;
    return known;
  }
  const entry: UndoEntry = {
    path,
    node,
    type,
    input,
    result: null,
    tries: 1,
    scope,
    rendered: new Map(),
  };
  if (effect === "change" && scope.phase === "main") {
    await renderUndo(state, entry);
    state.undo.push(entry);
  }
  return entry;
}

function renderedInput(state: RunState, scope: Scope, node: ActionNode, type: StepType): Json {
  const before = scope.rendered?.get(node);
  if (before !== undefined) return before;
  return renderInput(node.input, type.input, variables(state, scope));
}

function effectOf(type: StepType, asWritten: Json, rendered: Json): Effect {
  if (typeof type.effect !== "function") return type.effect;
  // `change` in either form wins: a template can't talk a step out of its gate.
  return type.effect(asWritten) === "change" || type.effect(rendered) === "change"
    ? "change"
    : "read";
}

/** Renders the inputs of a step's undo before it acts, so that they don't depend on what it does. */
async function renderUndo(state: RunState, { node, scope, rendered }: UndoEntry): Promise<void> {
  if (!node.undo) return;
  const vars = variables(state, scope);
  const render = async (step: StepNode): Promise<void> => {
    // What uses a loop variable or the error of a rescue can be rendered only then.
    if (step.foreach !== undefined) return;
    if (step.node === "block") {
      for (const inner of [...step.block, ...(step.always ?? [])]) await render(inner);
    } else {
      const { input } = await state.registry.get(step.type);
      rendered.set(step, renderInput(step.input, input, vars));
    }
  };
  for (const step of node.undo) await render(step);
}

async function recordIntent(job: Act, input: Json, { rendered }: UndoEntry): Promise<void> {
  const { state, scope, node, path } = job;
  const undo = node.undo
    ? (node.undo.map((step) =>
        step.node === "action" ? { [step.type]: rendered.get(step) ?? step.input } : null,
      ) as Json)
    : null;
  const record = () =>
    state.journal.intent(state.id, {
      path,
      id: node.id,
      type: node.type,
      phase: scope.phase,
      input: node.sensitive ? null : input,
      undo,
      started_at: state.clock.now().toISOString(),
    });
  if (state.lock) await state.lock.fenced(record);
  else record();
}

/**
 * What an earlier process left of this step: its result, or undefined when it must run (again).
 * @throws PgdbaError needs_operator when nothing can tell whether it happened
 */
async function restore(
  job: Act,
  type: StepType,
  input: Json,
  row: StepRow,
  probe: () => Promise<Awaited<ReturnType<NonNullable<StepType["probe"]>>>> | undefined,
): Promise<StepResult | undefined> {
  const { state, path } = job;
  const effect = effectOf(type, job.node.input, input);
  const repeatable =
    effect === "read" ||
    job.scope.phase === "undo" ||
    (typeof type.idempotent === "function" ? type.idempotent(input) : type.idempotent);

  if (row.status !== "open" && row.status !== "unknown" && row.result) {
    if (row.result.error || !row.masked) return row.result;
    if (repeatable) return undefined;
    return { ...row.result, output: unknownOutput(`steps.${job.node.id}.output`) as Json };
  }

  const said = state.assumed.get(path);
  if (said === "not_done") return undefined;
  if (said === "done") return doneResult(job, null);
  const answer = await probe();
  if (answer?.state === "done") return doneResult(job, answer.output);
  if (answer?.state === "not_done" || repeatable) return undefined;
  throw new PgdbaError(
    "needs_operator",
    `${path} (${type.type}) was under way when the earlier process died, and nothing can tell whether it happened${
      answer?.state === "unknown" ? `: ${answer.reason}` : ""
    }`,
    {
      step: path,
      hint: `Look at the target, then \`pgdba resume ${state.id} --assume ${path}=done\` or \`=not_done\`.`,
    },
  );
}

function doneResult(job: Act, output: Json): StepResult {
  return {
    status: "ok",
    changed: true,
    attempts: job.attempt,
    started_at: job.state.clock.now().toISOString(),
    duration_ms: 0,
    output,
    error: null,
  };
}

/** The failure of a step in an earlier process, as it was. */
export function recordedError(record: NonNullable<StepResult["error"]>): PgdbaError {
  return new PgdbaError(record.code, record.message, {
    hint: record.hint ?? undefined,
    where: record.where ?? undefined,
    step: record.step ?? undefined,
    retryable: record.retryable,
    data: record.data,
  });
}

function assertBounded(output: Json, path: string): void {
  if (output === null || typeof output !== "object") return;
  if (JSON.stringify(output).length > MAX_OUTPUT) {
    throw new PgdbaError(
      "limit_exceeded",
      `The output of ${path} is larger than ${MAX_OUTPUT} characters`,
      {
        hint: "Ask for less: a LIMIT, a max_rows or max_bytes, or write it to a file.",
      },
    );
  }
}

function unforeseen(thrown: unknown): PgdbaError {
  if (thrown instanceof UnknownValue) {
    // In a plan this never comes so far; here it is what an earlier process had and did not keep.
    return new PgdbaError(
      "step_failed",
      `${thrown.path} is needed again, and was not kept, for it held a secret`,
      {
        cause: thrown,
        hint: "Start the runbook anew.",
      },
    );
  }
  return new PgdbaError("step_failed", toPgdbaError(thrown).message, {
    cause: thrown,
    hint: "The step type failed in a way it did not foresee; PGDBA_DEBUG=1 shows the stack.",
  });
}

/** A thrown value as the error of a step, placed at its line in the runbook. UnknownValue is left alone. */
export function stepError(thrown: unknown, scope: Scope, node: StepNode, path: string): PgdbaError {
  const error = thrown instanceof PgdbaError ? thrown : unforeseen(thrown);
  error.step ??= path;
  if (!error.where) {
    const { file, line, column } = scope.runbook.doc.at(node.at);
    error.where = { file, line, column };
  }
  return error;
}

const FINAL: ReadonlySet<string> = new Set([
  "interrupted",
  "lock_lost",
  "journal_failed",
  "needs_operator",
  "secret_exposed",
]);

/** Errors that no retry, rescue or ignore_error may take: the run itself can't go on. */
export function isFinal(error: PgdbaError): boolean {
  return FINAL.has(error.code);
}
