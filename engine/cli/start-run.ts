import { PgdbaError } from "../errors.ts";
import { parseDuration } from "../shared/units.ts";
import { Journal } from "../journal/journal.ts";
import { loadPolicy, type PolicyRule } from "../policy.ts";
import { clustersNamed } from "../run/clusters.ts";
import { executeRun } from "../run.ts";
import type { Asked, Host, Previewed, RunRequest } from "../run/request.ts";
import { Stop } from "../run/stop.ts";
import type { Caller } from "../journal/holder.ts";
import type { JsonObject, Library, StepRegistry, Target } from "../types.ts";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Parsed } from "./args.ts";
import type { Result } from "./command.ts";
import { configFileOf, stateDirOf, systemDirsOf } from "./config.ts";
import type { Front, TargetFlags } from "./front.ts";
import { openProgress } from "./progress.ts";
import { callerText } from "./run-record.ts";
import { usersOf } from "./users.ts";

/** Longer than a lease, so that a holder that is gone for good is outwaited. */
export const DEFAULT_LOCK_WAIT = "20s";
export const TARGET_FLAGS = ["cluster", "host", "port", "user", "database"] as const;

/**
 * The parameter by which a runbook says on which database it works, whether that is there or not. `--database` is then its flag, and no part of
 * the connection.
 */
const OWN_DATABASE = "database";

/**
 * Parts of the connection that a runbook may take for itself: `--host` of one that works on a host of a cluster is that host, and the run still goes to
 * the cluster.
 */
const OWN_FLAGS: readonly string[] = [OWN_DATABASE, "host"];

/** The flags of the connection without those that are parameters of the runbook. */
export function connectionFlags(
  { params }: Pick<RunRequest["runbook"], "params">,
  flags: Parsed["flags"],
): Parsed["flags"] {
  const isOwn = (name: string): boolean => OWN_FLAGS.includes(name) && Object.hasOwn(params, name);
  return Object.fromEntries(Object.entries(flags).filter(([name]) => !isOwn(name)));
}

export function namesDatabase({ params }: Pick<RunRequest["runbook"], "params">): boolean {
  return Object.hasOwn(params, OWN_DATABASE);
}

/** The flags beside a cluster: one of its databases, and with a host one member of it. */
const OF_A_CLUSTER: readonly string[] = ["database"];
const OF_A_MEMBER: readonly string[] = [...OF_A_CLUSTER, "host", "port"];

/** @throws PgdbaError usage when a cluster is named and a part of its connection given beside it; its host names a member of it */
export function targetFlags(flags: Parsed["flags"]): TargetFlags {
  const fits = flags["host"] === undefined ? OF_A_CLUSTER : OF_A_MEMBER;
  const beside = TARGET_FLAGS.filter(
    (key) => key !== "cluster" && flags[key] !== undefined && !fits.includes(key),
  );
  if (flags["cluster"] !== undefined && beside.length > 0) {
    throw new PgdbaError(
      "usage",
      `--cluster and ${beside.map((key) => `--${key}`).join(", ")} contradict each other`,
      {
        hint: "A cluster brings its own connection. Give one or the other; --host beside it names one of its members, --database one of its databases.",
      },
    );
  }
  return Object.fromEntries(
    TARGET_FLAGS.flatMap((key) => (flags[key] === undefined ? [] : [[key, flags[key]]])),
  );
}

export async function openTarget(
  front: Front,
  flags: TargetFlags,
  { resumes = false, assumes = false, anyDatabase = false } = {},
): Promise<Target> {
  const target = await front.resolveTarget({
    flags,
    env: front.env,
    stateDir: stateDirOf(front),
    onSecret: (value) => front.secrets.add(value),
    log: (message) => front.stderr.write(`${front.secrets.redact(message)}\n`),
    resumes,
    assumes,
    anyDatabase,
  });
  const named = target.flags ?? [];
  named.forEach((flag, at) => {
    const name = named[at + 1];
    if ((flag === "--user" || flag === "--database") && name !== undefined)
      front.secrets.addName(name);
  });
  return target;
}

/** The clusters that parameters name, but for the target itself; in the order of their names. */
async function othersOf(
  front: Front,
  { runbook, params, target }: Pick<RunRequest, "runbook" | "params" | "target">,
): Promise<Target[]> {
  const names = clustersNamed(runbook, params).filter((name) => name !== target.cluster);
  return Promise.all(names.map((cluster) => openTarget(front, { cluster })));
}

/** The part of a run that is the same for `run` and `resume`: policy, journal, progress, questions, and the run itself. */
export async function startRun(
  front: Front,
  flags: Parsed["flags"],
  /** `acts`: it may change or lock something; one that does not does without a journal that can be written. */
  parts: { library: Library; registry: StepRegistry; acts: boolean; journal?: Journal },
  request: Omit<RunRequest, "asked" | "stop" | "lockWaitMs" | "targetFlags"> & {
    targetFlags: TargetFlags;
  },
): Promise<Result> {
  const stateDir = stateDirOf(front);
  const policy = await loadPolicy(
    [...systemDirsOf(front.env), stateDir].map((dir) => join(dir, "policy.yaml")),
  );
  const lockWaitMs = durationFlag(flags["lock-wait"] ?? DEFAULT_LOCK_WAIT);
  const journal =
    parts.journal ??
    (request.plan || !parts.acts
      ? Journal.forReads(stateDir, front.secrets)
      : new Journal(stateDir, front.secrets));
  if (flags["verbose"]) say(front, request, policy);
  const progress = await openProgress(front, flags, parts.registry);
  const host: Host = {
    journal,
    registry: parts.registry,
    library: parts.library,
    secrets: front.secrets,
    clock: front.clock,
    env: front.env,
    cwd: front.cwd,
    stateDir,
    listener: progress.listener,
    newRunId: () => newRunId(front.clock.now()),
  };
  const whole = { ...request, targetFlags: request.targetFlags as JsonObject, lockWaitMs };
  const asked: Asked = {
    flags: {
      yes: flags["yes"] === true,
      confirm: typeof flags["confirm"] === "string" ? flags["confirm"] : null,
      iKnowWhatIAmDoing: flags["i-know-what-i-am-doing"] === true,
      explicitCluster: request.targetFlags.cluster !== undefined && request.target.cluster !== null,
      readOnly: flags["read-only"] === true,
      withoutBackup: typeof flags["without-backup"] === "string" ? flags["without-backup"] : null,
    },
    caller: callerOf(front),
    users: usersOf(front.env),
    policy,
    confirm: mayAsk(front, flags)
      ? (question, expect, target) => askPerson(front, question, expect, target)
      : undefined,
  };
  const { library, registry } = parts;
  const at = { flags: request.target.flags ?? [], library, registry: async () => registry };
  try {
    const outcome = await executeRun(host, {
      ...whole,
      others: () => othersOf(front, request),
      stop: front.stop,
      asked,
      approvals: {
        id: typeof flags["approval"] === "string" ? flags["approval"] : null,
        version: front.version,
        preview: () => preview(front, host, { ...whole, asked }),
      },
    });
    const { envelopeAt } = await import("./hints/at-target.ts");
    const envelope = await envelopeAt(front, at, outcome.envelope);
    return { ...outcome, envelope, shown: request.runbook.shown };
  } catch (thrown) {
    const { errorAt } = await import("./hints/at-target.ts");
    throw await errorAt(front, at, thrown);
  } finally {
    await progress.close();
    journal.close();
  }
}

/** Runs it as a plan, on a target of its own: that of the run keeps its session and its locks. @throws PgdbaError its failure */
async function preview(
  front: Front,
  host: Host,
  request: Omit<RunRequest, "stop" | "targetFlags"> & { targetFlags: JsonObject },
): Promise<{ steps: readonly Previewed[]; more: number }> {
  const { targetFlags, runbook } = request;
  const anyDatabase = namesDatabase(runbook);
  const target = await openTarget(front, targetFlags as TargetFlags, { anyDatabase });
  const stop = new Stop();
  const abort = () => void stop.request(front.stop.reason ?? "a signal");
  front.stop.soft.addEventListener("abort", abort, { once: true });
  const { error, envelope } = await executeRun(
    { ...host, listener: () => {} },
    { ...request, target, plan: true, others: () => othersOf(front, request), stop },
  );
  front.stop.soft.removeEventListener("abort", abort);
  if (error !== null) throw error;
  const { run } = envelope.data as unknown as {
    run: { id: string; steps: readonly Previewed[]; steps_not_listed?: number };
  };
  // Each plan has an id of its own, after which a preview may name files and labels: that makes no other act of it.
  const text = JSON.stringify(run.steps).replaceAll(run.id, "RUN");
  return { steps: JSON.parse(text) as Previewed[], more: run.steps_not_listed ?? 0 };
}

/** Says with what the run began, and where each value came from. */
function say(
  front: Front,
  {
    runbook,
    runbooks,
    recordedParams,
  }: Pick<RunRequest, "runbook" | "runbooks" | "recordedParams">,
  policy: readonly PolicyRule[],
): void {
  const { file, named } = configFileOf(front);
  const params = Object.entries(recordedParams).filter(([, value]) => value !== null);
  const lines = [
    `Runbook ${runbook.name} of the layer ${runbook.doc.layer}: ${runbook.doc.file}`,
    ...[...runbooks.values()]
      .filter(({ name }) => name !== runbook.name)
      .map(({ name, doc }) => `It may call ${name} of the layer ${doc.layer}: ${doc.file}`),
    ...params.map(([name, value]) => `Parameter ${name}: ${JSON.stringify(value)}`),
    `Configuration: ${file}${named || existsSync(file) ? "" : ", which does not exist"}`,
    ...[...new Set(policy.map((rule) => rule.file))].map((each) => `Policy: ${each}`),
    ...(policy.length === 0 ? ["No policy is in force"] : []),
    `Called by: ${callerText(callerOf(front)) ?? "unknown, so every rule that names a caller matches"}`,
    `State folder: ${stateDirOf(front)}`,
  ];
  front.stderr.write(`${front.secrets.redact(lines.join("\n"))}\n`);
}

async function askPerson(
  front: Front,
  question: string,
  expect: string | null,
  target: JsonObject,
): Promise<boolean> {
  const { confirm } = await import("../view/prompt.ts");
  const facts = Object.entries(target)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([key, value]) => `${key}: ${String(value)}`);
  front.stderr.write(`${front.secrets.redact(facts.join("\n"))}\n`);
  return confirm({
    stdin: front.stdin,
    stderr: front.stderr,
    question,
    ...(expect === null ? {} : { expect }),
  });
}

function mayAsk(front: Front, flags: Parsed["flags"]): boolean {
  return front.stdin.isTTY === true && flags["no-input"] !== true;
}

/**
 * The caller, for the policy: the value of PGDBA_CALLER, else a person where there is a terminal. Nothing else tells: a variable
 * such as CI proves nothing. @throws PgdbaError invalid_config for a value that is no name: a blank in it would pass by a rule
 */
export function callerOf(front: Pick<Front, "env" | "stdin">): Caller {
  const said = front.env["PGDBA_CALLER"];
  if (said) {
    if (/^[a-z0-9][a-z0-9._@-]{0,63}$/i.test(said)) return { name: said, by: "PGDBA_CALLER" };
    throw new PgdbaError("invalid_config", "PGDBA_CALLER is not a name", {
      hint: "Use letters, digits, . _ @ and -, such as agent, ci or schedule.",
    });
  }
  return front.stdin.isTTY === true ? { name: "human", by: "terminal" } : { name: null, by: null };
}

function durationFlag(value: unknown): number {
  try {
    return parseDuration(String(value));
  } catch (cause) {
    throw new PgdbaError("usage", `--lock-wait: ${String(value)} is not a duration`, {
      cause,
      hint: "Write 30s or 5m.",
    });
  }
}

/** Sorts by time, is easy to read aloud, and unique enough for one state folder: 20260102-030405-k3f9xz. */
export function newRunId(now: Date): string {
  const stamp = now.toISOString().replaceAll(/[-:]/g, "").replace("T", "-").slice(0, 15);
  const random = crypto.getRandomValues(new Uint8Array(6));
  return `${stamp}-${Array.from(random, (byte) => "abcdefghijkmnpqrstuvwxyz23456789"[byte % 32]).join("")}`;
}
