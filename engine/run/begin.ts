import { freeze } from "../journal/docs.ts";
import { type Holder, thisProcess } from "../journal/holder.ts";
import type { Said } from "../journal/journal.ts";
import { Releasers } from "../releasers.ts";
import type { Event } from "../types.ts";
import { checkAnswers } from "./answers.ts";
import { type Approved, askApproval, checkApproval, goesOnApproved, type Seen } from "./approve.ts";
import { auditRefusal, saidToGates } from "./audited.ts";
import { circumstances } from "./circumstances.ts";
import { deadRuns } from "./dead-runs.ts";
import { type Entered, passGates } from "./enter.ts";
import { judgedRow } from "./judged.ts";
import { assertNothingAtWork, jobPaths, leftBehind } from "./left-behind.ts";
import { takeLocks } from "./locks.ts";
import { newState } from "./new-state.ts";
import type { Host, RunRequest } from "./request.ts";
import type { BareEvent, RunState } from "./state.ts";

/**
 * Brings a run from its gates to where its first step may begin: approved, locked, and on record.
 * @throws PgdbaError when it may not begin; nothing is held then
 */
export async function begin(host: Host, request: RunRequest): Promise<RunState> {
  const { resume } = request;
  const { name } = request.target;
  const id = resume?.row.id ?? host.newRunId();
  const startedAt = resume?.row.started_at ?? host.clock.now().toISOString();
  const holder: Holder = { ...thisProcess(), caller: request.asked.caller };
  const releasers = new Releasers();
  const emit = emitterOf(host, id);
  const answers = resume
    ? checkAnswers(host.journal.steps(id), host.journal.answers(id), resume.assumed)
    : new Map<string, Said>();
  const refused = (thrown: unknown): never => {
    throw auditRefusal(host, request, thrown);
  };
  const entered = await passGates(host, request, releasers).catch(refused);
  const { judged, keys, others } = entered;
  const seen = { rules: entered.approve, view: entered.view, others };
  try {
    const given = await approvalNeeded(host, request, seen).catch(refused);
    const locking = { id, judged, holder, keys, others, emit, releasers };
    const lock = await takeLocks(host, request, locking);
    // What was approved is compared with what there is while nobody else may change it.
    const approved =
      given === null ? null : await checkApproval(host, request, seen, given).catch(refused);
    const jobs = await jobPaths(host.journal, host.registry, id);
    if (resume) await assertNothingAtWork(host.journal, host.clock, id, jobs);
    record(host, request, { id, startedAt, holder, entered, answers, approved });
    // The gates have judged what holds now; expressions see what the run began with.
    const targetView = resume?.row.view ?? entered.view;
    const state = newState(host, request, { id, startedAt, judged, releasers, emit, targetView });
    state.lock = lock;
    state.ahead = entered.ahead;
    // Who needs an approval does not answer the questions of a run, either.
    if (seen.rules.length > 0) state.ask = undefined;
    if (judged.withoutBackup && !request.plan)
      state.warnings.push(`No verified backup was taken first: --without-backup=${name}`);
    state.warnings.push(...entered.warnings, ...(await deadRuns(host, name, id)));
    if (resume) state.warnings.push(...(await leftBehind(host.journal, host.clock, [id], jobs)));
    tellBegin(state, request, entered);
    return state;
  } catch (thrown) {
    // The first failure is the one that is reported.
    await releasers.releaseAll().catch(() => {});
    throw thrown;
  }
}

/** Hands out the events of a run with their time and without secrets. */
function emitterOf({ clock, secrets, listener }: Host, run: string): RunState["emit"] {
  return (event: BareEvent) =>
    listener(secrets.redactRecord<Event>({ ...event, at: clock.now().toISOString(), run }));
}

/**
 * The request by whose approval the run begins; null where it needs none, or goes on as it was approved.
 * @throws PgdbaError approval_needed when it names none
 */
async function approvalNeeded(host: Host, request: RunRequest, seen: Seen): Promise<string | null> {
  if (seen.rules.length === 0 || goesOnApproved(host, request)) return null;
  return request.approvals?.id ?? (await askApproval(host, request, seen));
}

/** Puts the run into the journal; one that is resumed goes on under this process. */
function record(
  host: Host,
  request: RunRequest,
  made: {
    id: string;
    startedAt: string;
    holder: Holder;
    entered: Entered;
    answers: ReadonlyMap<string, Said>;
    approved: Approved | null;
  },
): void {
  const { id, holder, approved } = made;
  const { judged, identity, view, answered } = made.entered;
  const approval = approved?.id ?? null;
  if (request.resume) {
    host.journal.adoptRun(id, holder, request.resume.row.holder, {
      said: made.answers,
      at: host.clock.now().toISOString(),
      approval,
      gates: saidToGates(request.asked, []),
    });
    return;
  }
  host.journal.createRun({
    id,
    runbook: request.runbook.name,
    digest: request.runbook.doc.digest,
    docs: freeze([...request.runbooks.values()].map(({ doc }) => doc)),
    params: request.recordedParams,
    target: { name: request.target.name, identity, flags: request.targetFlags },
    risk: judged.risk,
    judged: judgedRow(judged),
    plan: request.plan,
    holder,
    started_at: made.startedAt,
    view,
    said: {
      ...saidToGates(request.asked, answered),
      ...(approved && { approved: approved.by }),
    },
    approval,
  });
}

/** Says that the run begins, and under which circumstances. */
function tellBegin({ emit, lock }: RunState, request: RunRequest, { judged, view }: Entered): void {
  const { runbook, target, plan, resume } = request;
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
}
