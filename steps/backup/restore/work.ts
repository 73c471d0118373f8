/** `pgdba work` on a node: begun once, followed to its end, and found again by a later process. */
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { Lines } from "../../../engine/shared/lines.ts";
import type { ProbeResult, StepContext } from "../../../engine/types.ts";
import { besideData } from "../../../providers/backup/settings.ts";
import { errorOf, type Job, type Outcome, type Told } from "../../../providers/backup/work.ts";
import type { Facts, Nodes } from "../../../providers/nodes/contract.ts";
import { serverFacts } from "../../node-files.ts";

/** A server's host as the work sees it. */
export interface Place {
  node: string;
  data: string;
  /** Of the data, where the node tells of it. */
  disk: Facts["disks"][number] | undefined;
  /** The folder of the server's programs. */
  programs: string;
  /** Beside the data, from `backup setup`: the program, and the file that says where the repository is. */
  program: string;
  settings: string;
}

/** @throws PgdbaError step_refused for a node without PostgreSQL, or without what the work needs there */
export async function placeOf(nodes: Nodes, node: string): Promise<Place> {
  const { postgres, disks } = await serverFacts(nodes, node);
  const beside = besideData(postgres.data);
  const place = {
    node,
    data: postgres.data,
    disk: disks.find(({ of }) => of === "data"),
    programs: postgres.bin,
    program: join(beside, "pgdba"),
    settings: join(beside, "repository.json"),
  };
  for (const path of [place.program, place.settings]) {
    if ((await nodes.exec(node, ["test", "-r", path])).exit_code === 0) continue;
    throw new PgdbaError(
      "step_refused",
      `${node} has no ${path}, by which it reaches the repository`,
      {
        hint: "`pgdba backup setup` puts it there.",
        nothingDone: true,
      },
    );
  }
  return place;
}

/** @throws PgdbaError what the work failed with | needs_operator when nobody knows how it ended */
export async function work<T>(
  ctx: StepContext,
  nodes: Nodes,
  { node, program }: Place,
  { job, order }: { job: Job; order: object },
): Promise<T> {
  const name = ctx.attached?.job ?? ctx.step.job;
  if (ctx.attached === undefined) {
    const stdin = `${JSON.stringify(order)}\n`;
    await nodes.jobs.start(node, name, [program, "work", job], { stdin });
  }
  return follow<T>(ctx, nodes, node, name);
}

/** The answer of a probe of a step that does its work by `work`. */
export async function probeWork<T extends object>(
  ctx: StepContext,
  node: string,
  output: (result: T) => object,
): Promise<ProbeResult> {
  const nodes = await ctx.use("nodes");
  const found = await nodes.jobs.find(node, ctx.step.job);
  if (found === null) return { state: "not_done" };
  if (found.state === "running") return { state: "running" };
  // Its folder is written anew by the next attempt, whatever became of this one.
  if (found.unknown !== undefined) return { state: "not_done" };
  try {
    return {
      state: "done",
      output: output(await follow<T>(ctx, nodes, node, ctx.step.job)) as never,
    };
  } catch (error) {
    return { state: "failed", error: error as Error };
  }
}

export const MOST_BYTES = 1 << 20;

async function follow<T>(ctx: StepContext, nodes: Nodes, node: string, name: string): Promise<T> {
  let said = "";
  const decoder = new TextDecoder();
  const told = new Lines(MOST_BYTES);
  const ended = await nodes.jobs
    .follow(node, name, {
      signal: ctx.signal,
      onStdout: (bytes) => {
        said = (said + decoder.decode(bytes, { stream: true })).slice(-MOST_BYTES);
      },
      onStderr: (bytes) => {
        for (const line of told.take(bytes)) tell(ctx, line);
      },
    })
    .catch(async (error: unknown) => {
      if (ctx.signal.aborted) await nodes.jobs.stop(node, name, { graceMs: 10_000 });
      throw error;
    });
  const outcome = outcomeIn<T>(said);
  if (outcome?.ok) return outcome.result;
  if (outcome) throw errorOf(outcome.error, "step_failed");
  throw new PgdbaError(
    "command_failed",
    `The work on ${node} ended without a word (${ended.unknown ?? ended.signal ?? `exit code ${ended.exit_code}`})`,
    {
      hint: told.rest.trim() || `Look at ${node}: it may be out of memory or of disk.`,
    },
  );
}

export function tell(ctx: StepContext, line: string): void {
  try {
    const { warning, done, total, unit, text } = JSON.parse(line) as Told;
    if (warning !== undefined) return ctx.warn(warning);
    ctx.progress({
      done: done ?? null,
      total: total ?? null,
      unit: unit ?? null,
      text: text ?? null,
    });
  } catch {
    ctx.log(line);
  }
}

function outcomeIn<T>(said: string): Outcome<T> | null {
  try {
    return JSON.parse(said.trim().split("\n").at(-1) ?? "") as Outcome<T>;
  } catch {
    return null;
  }
}
