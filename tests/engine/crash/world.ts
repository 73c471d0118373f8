import { makeRegistry } from "../../../engine/cli/library.ts";
import { compileClosure } from "../../../engine/cli/closure.ts";
import { systemClock } from "../../../engine/clock.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Journal, RunRow } from "../../../engine/journal/journal.ts";
import { executeRun } from "../../../engine/run.ts";
import type { RunOutcome } from "../../../engine/run/request.ts";
import { Stop } from "../../../engine/run/stop.ts";
import { Secrets } from "../../../engine/secrets.ts";
import type { Doc, JsonObject, Library, StepType, Target } from "../../../engine/types.ts";
import { loaders } from "../../../steps/_registry.ts";
import type { Drill } from "./generate.ts";

/** What acts leave behind, whatever becomes of the process that acts. */
export interface Effects {
  /** The process may die before and after. */
  add(line: string): void;
  lines(): string[];
}

export type Answers = Record<string, "done" | "not_done">;

export interface Job {
  journal: Journal;
  stateDir: string;
  target?: Partial<Target>;
  resume: boolean;
  assume: Answers;
  stop?: Stop;
}

const any = { type: "object" } as const;

function typesFor(world: { effects: Effects }): StepType[] {
  const has = (line: string) => world.effects.lines().includes(line);
  const add = (line: string) => world.effects.add(line);
  const change = (kind: string, about: Partial<StepType>): StepType => ({
    type: `act.${kind}`,
    summary: kind,
    example: "",
    effect: "change",
    idempotent: false,
    input: any,
    output: {},
    async run(ctx) {
      add(ctx.step.path);
      return { path: ctx.step.path };
    },
    ...about,
  });
  return [
    // A counter: done twice is wrong.
    change("once", {}),
    change("repeatable", { idempotent: true }),
    change("probed", {
      async probe(ctx) {
        const { path } = ctx.step;
        return has(path) ? { state: "done", output: { path } } : { state: "not_done" };
      },
    }),
    change("undoable", {
      idempotent: true,
      async undo(ctx) {
        add(`${ctx.step.path}~undo`);
      },
    }),
    // What it starts goes on without it, and may be started once only; it is found again by its note.
    change("job", {
      job: true,
      async run(ctx) {
        const { path } = ctx.step;
        if (!ctx.attached) {
          ctx.note({ path });
          add(`try ${path}`);
        } else if ((ctx.attached.note as JsonObject | null)?.["path"] !== path) add("try LOST");
        add(path);
        return { path };
      },
      async probe(ctx) {
        const { path } = ctx.step;
        if (has(path)) return { state: "done", output: { path } };
        if (!has(`try ${path}`)) return { state: "not_done" };
        if ((ctx.noted as JsonObject | undefined)?.["path"] !== path) add("try LOST");
        return { state: "running" };
      },
      // It is let run to its end.
      async stop(ctx) {
        add(ctx.step.path);
      },
      async undo(ctx) {
        add(`${ctx.step.path}~undo`);
      },
      idempotent: false,
    }),
    change("read", { effect: "read", idempotent: true, run: async () => null }),
    change("half", {
      async run(ctx) {
        add(ctx.step.path);
        throw new PgdbaError("command_failed", "half of it is done");
      },
    }),
    change("refuses", {
      async run() {
        throw new PgdbaError("step_refused", "nothing is done");
      },
    }),
    // It fails when it is tried first, before it has done anything.
    change("flaky", {
      async run(ctx) {
        const mark = `try ${ctx.step.path}`;
        if (!has(mark)) {
          add(mark);
          ctx.unchanged();
          throw new PgdbaError("command_failed", "not at the first time");
        }
        add(ctx.step.path);
        return null;
      },
    }),
    change("late", {
      effect: "read",
      idempotent: true,
      async run(_ctx, input) {
        if (input.fail !== true) return null;
        for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
        throw new PgdbaError("step_failed", "late");
      },
    }),
    change("fail", {
      effect: "read",
      idempotent: true,
      async run() {
        throw new PgdbaError("step_failed", "as it should");
      },
    }),
  ];
}

/** A drill that is ready to be run, in this process. */
export interface World {
  /** Where acts leave their traces: may be exchanged, as when another process begins. */
  effects: Effects;
  /** Runs the drill, or goes on with the run on record. */
  run(job: Job): Promise<RunOutcome>;
}

export async function worldOf({ docs: texts }: Drill, effects: Effects): Promise<World> {
  const world: World = { effects, run };
  const registry = makeRegistry({
    run: loaders["run"]!,
    ...Object.fromEntries(
      typesFor(world).map((type) => [type.type, async () => ({ default: type })]),
    ),
  });
  const docs = new Map(
    Object.entries(texts).map(([name, data]): [string, Doc] => {
      const file = `${name}.yaml`;
      const at = () => ({ file, line: 1, column: 1, offset: 0, length: 0, text: "" });
      const about = { name, kind: "runbook", layer: "builtin", file, digest: name } as const;
      return [name, { ...about, lineage: [name], data, at }];
    }),
  );
  const library: Library = {
    entries: () => [],
    find: (name) => docs.get(name) && { ...docs.get(name)!, overrides: [] },
    load: async (name) => docs.get(name)!,
  };
  const { runbook, runbooks } = await compileClosure("drill/crash", library, registry);
  return world;

  async function run({ journal, stateDir, target, resume, assume, stop }: Job) {
    const row = resume ? (journal.runs(1)[0] as RunRow) : undefined;
    return executeRun(
      {
        journal,
        registry,
        library,
        secrets: new Secrets(),
        clock: systemClock,
        env: {},
        cwd: stateDir,
        stateDir,
        listener: () => {},
        newRunId: () => "run-1",
      },
      {
        command: "crash",
        runbook,
        runbooks,
        params: {},
        recordedParams: {},
        target: {
          name: "drill",
          cluster: null,
          labels: [],
          ownership: "none",
          expectedIdentity: null,
          facts: async () => ({ state: "up", identity: "1", capabilities: [], facts: {} }),
          close: async () => {},
          ...target,
        },
        targetFlags: {},
        backups: [],
        plan: false,
        lockWaitMs: 0,
        stop: stop ?? new Stop(),
        asked: {
          flags: {
            yes: true,
            confirm: null,
            iKnowWhatIAmDoing: false,
            explicitCluster: true,
            withoutBackup: null,
          },
          caller: { name: "test", by: null },
          policy: [],
          confirm: undefined,
        },
        ...(row ? { resume: { row, assumed: new Map(Object.entries(assume)) } } : {}),
      },
    );
  }
}

/** Every write of the journal is a point to die at, before and after; inside of the fence's transaction it is not committed yet. */
export function withFailpoints(journal: Journal, failpoint: () => void): Journal {
  for (const method of WRITES) {
    const real = journal[method].bind(journal) as (...args: unknown[]) => void;
    Object.defineProperty(journal, method, {
      value: (...args: unknown[]) => {
        failpoint();
        real(...args);
        failpoint();
      },
    });
  }
  return journal;
}

const WRITES = [
  "createRun",
  "adoptRun",
  "intent",
  "outcome",
  "saw",
  "markUnknown",
  "betweenAttempts",
  "beginUnwinding",
  "markCancelled",
  "markOpenUnknown",
  "finishRun",
] as const;
