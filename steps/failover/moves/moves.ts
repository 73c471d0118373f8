import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { readTextIfThere } from "../../../engine/shared/read-file.ts";
import { fileError, writeWhole } from "../../../engine/shared/write-file.ts";
import type { StepContext } from "../../../engine/types.ts";

/** Who led before a run moved the role; `<state folder>/moves/<run id>.json`. */
export interface Move {
  run: string;
  target: string;
  identity: string | null;
  from: string | null;
  to: string;
  at: string;
}

const MAX_BYTES = 64 * 1024;
const MAX_READ = 1000;
/** A run's id, which becomes part of a path. */
const RUN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,100}$/;

function fileOf(stateDir: string, run: string): string {
  if (RUN.test(run)) return join(stateDir, "moves", `${run}.json`);
  throw new PgdbaError("unknown_run", `Not the id of a run: ${JSON.stringify(run.slice(0, 100))}`, {
    hint: "`pgdba runs` lists them.",
  });
}

/** Gives the file. What an earlier process of the run has kept stays: who leads now may be its own work. */
export async function keepMove(
  ctx: StepContext,
  { from, to }: Pick<Move, "from" | "to">,
): Promise<string> {
  const { stateDir, id } = ctx.run;
  const file = fileOf(stateDir, id);
  if (readMove(stateDir, id) !== undefined) return file;
  const { identity } = await ctx.target.facts();
  const at = ctx.clock.now().toISOString();
  const move: Move = { run: id, target: ctx.target.name, identity, from, to, at };
  const folder = join(stateDir, "moves");
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw fileError(folder, error);
  });
  await writeWhole(file, `${JSON.stringify(move, null, 2)}\n`);
  return file;
}

/** What `run` kept; undefined when it moved no role. @throws PgdbaError io_failed */
export function readMove(stateDir: string, run: string): Move | undefined {
  const file = fileOf(stateDir, run);
  const text = readTextIfThere(file, { maxBytes: MAX_BYTES });
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Move;
  } catch (cause) {
    throw new PgdbaError("io_failed", `${file} can't be read: ${(cause as Error).message}`, {
      hint: "It holds who led before the run; look at it by hand.",
      cause,
    });
  }
}

/** The newest move in the cluster of this identity; undefined where this state folder knows of none. @throws PgdbaError io_failed */
export async function newestMove(stateDir: string, identity: string): Promise<Move | undefined> {
  const files = await readdir(join(stateDir, "moves")).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw fileError(join(stateDir, "moves"), error);
  });
  // A run's id begins with its time.
  const runs = files
    .filter((file) => file.endsWith(".json"))
    .toSorted()
    .slice(-MAX_READ);
  return runs
    .map((file) => readMove(stateDir, file.slice(0, -".json".length)))
    .filter((move) => move !== undefined && move.identity === identity)
    .toSorted((a, b) => Date.parse(b!.at) - Date.parse(a!.at))[0];
}

export async function removeMove(stateDir: string, run: string): Promise<void> {
  await rm(fileOf(stateDir, run), { force: true });
}
