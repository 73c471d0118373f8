/**
 * Runs or resumes a generated runbook in a process of its own that kills itself with SIGKILL at the nth failpoint: before and after
 * every journal write, and before and after every act. Usage: driver.ts '<json job>'; prints {failpoints, exit, status, id}.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { compile } from "../../../engine/check/compile.ts";
import { makeRegistry } from "../../../engine/cli/library.ts";
import { systemClock } from "../../../engine/clock.ts";
import { Journal, type RunRow } from "../../../engine/journal/journal.ts";
import { executeRun } from "../../../engine/run.ts";
import { Stop } from "../../../engine/run/stop.ts";
import { Secrets } from "../../../engine/secrets.ts";
import type { Doc, JsonObject, Library, StepType } from "../../../engine/types.ts";
import { PgdbaError } from "../../../engine/errors.ts";

interface Job {
  stateDir: string;
  effects: string;
  data: JsonObject;
  killAt: number;
  resume: boolean;
  assume: Record<string, "done" | "not_done">;
}

const job = JSON.parse(process.argv[2]!) as Job;
let failpoints = 0;
function failpoint(): void {
  failpoints += 1;
  if (failpoints === job.killAt) process.kill(process.pid, "SIGKILL");
}

function effect(line: string): void {
  failpoint();
  const fd = openSync(job.effects, "a");
  writeSync(fd, `${line}\n`);
  fsyncSync(fd);
  closeSync(fd);
  failpoint();
}

function happened(line: string): boolean {
  return existsSync(job.effects) && readFileSync(job.effects, "utf8").split("\n").includes(line);
}

const any = { type: "object" } as const;
function change(type: string, about: Partial<StepType>): StepType {
  return {
    type,
    summary: type,
    example: "",
    effect: "change",
    idempotent: false,
    input: any,
    output: { type: "object", properties: { path: { type: "string" } } },
    async run(ctx) {
      effect(ctx.step.path);
      return { path: ctx.step.path };
    },
    ...about,
  };
}

const types: StepType[] = [
  change("act.once", {}),
  change("act.repeatable", { idempotent: true }),
  change("act.probed", {
    async probe(ctx) {
      return happened(ctx.step.path)
        ? { state: "done", output: { path: ctx.step.path } }
        : { state: "not_done" };
    },
  }),
  change("act.undoable", {
    idempotent: true,
    async undo(ctx) {
      effect(`${ctx.step.path}~undo`);
    },
  }),
  change("act.read", { effect: "read", idempotent: true }),
  change("act.fail", {
    effect: "read",
    idempotent: true,
    async run() {
      throw new PgdbaError("step_failed", "as it should");
    },
  }),
];

const journal = new Journal(job.stateDir, new Secrets());
for (const method of ["createRun", "intent", "outcome", "finishRun"] as const) {
  const real = journal[method].bind(journal) as (...args: unknown[]) => void;
  Object.assign(journal, {
    [method]: (...args: unknown[]) => {
      failpoint();
      real(...args);
      // Inside the fence's transaction the write is not committed yet; that too is a point to die at.
      failpoint();
    },
  });
}

const registry = makeRegistry(
  Object.fromEntries(types.map((type) => [type.type, async () => ({ default: type })])),
);
const doc: Doc = {
  name: "drill/crash",
  kind: "runbook",
  layer: "builtin",
  file: "crash.yaml",
  data: job.data,
  digest: "crash",
  lineage: [],
  at: () => ({ file: "crash.yaml", line: 1, column: 1, offset: 0, length: 0, text: "" }),
};
const library: Library = { entries: () => [], find: () => undefined, load: async () => doc };
const { runbook, diagnostics } = await compile(doc, { registry, library });
if (!runbook) throw new Error(JSON.stringify(diagnostics));
const row = job.resume ? (journal.runs(1)[0] as RunRow) : undefined;
const outcome = await executeRun(
  {
    journal,
    registry,
    library,
    secrets: new Secrets(),
    clock: systemClock,
    env: {},
    cwd: job.stateDir,
    stateDir: job.stateDir,
    listener: () => {},
    newRunId: () => "run-1",
  },
  {
    command: "crash",
    runbook,
    runbooks: new Map([[runbook.name, runbook]]),
    params: {},
    recordedParams: {},
    target: {
      name: "drill",
      cluster: "drill",
      labels: [],
      ownership: "managed",
      expectedIdentity: null,
      connection: null,
      facts: async () => ({ identity: "1", capabilities: [], facts: {} }),
      close: async () => {},
    },
    targetFlags: {},
    plan: false,
    lockWaitMs: 0,
    stop: new Stop(),
    asked: {
      flags: { yes: true, confirm: null, iKnowWhatIAmDoing: false, explicitCluster: true },
      caller: { name: "test", by: null },
      policy: [],
      backupRunbook: false,
      confirm: undefined,
    },
    ...(row ? { resume: { row, assumed: new Map(Object.entries(job.assume)) } } : {}),
  },
);
appendFileSync(
  1,
  JSON.stringify({
    failpoints,
    exit: outcome.exit,
    status: outcome.status,
    error: outcome.envelope.error,
  }),
);
