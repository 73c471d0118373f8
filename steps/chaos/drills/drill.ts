import { createHash } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { errnoOf, readTextIfThere } from "../../../engine/shared/read-file.ts";
import { fileError, writeWhole } from "../../../engine/shared/write-file.ts";
import type { Json, JsonObject, StepContext } from "../../../engine/types.ts";
import type { Way } from "../history/lines.ts";

/** What is known of a drill when its load begins. */
export interface Drill {
  format: 1;
  id: string;
  run: string;
  /** The runbook, its parameters, and the command that does it again. */
  name: string;
  params: JsonObject;
  command: string;
  cluster: string;
  seed: number | null;
  /** ISO, of the moment that all times of the drill count from. */
  began: string;
  members: string[];
  workload: {
    rate: number;
    connections: number;
    synchronous_commit: string;
    deadline_ms: number;
    ways: Way[];
    lists: number;
  };
  /** In force at the beginning, by their names. */
  settings: Record<string, string>;
}

const FORMAT = 1;
/** No file of ours is as large. */
const MAX_BYTES = 64 * 1024 * 1024;
const ID = /^[A-Za-z0-9._-]{1,120}$/;

/** The folder of all drills of a cluster. A target without a name that is one has one by its digest. */
export function folderOf(ctx: StepContext): string {
  const { cluster, name } = ctx.target;
  const known = cluster ?? `host-${createHash("sha256").update(name).digest("hex").slice(0, 12)}`;
  return join(ctx.run.stateDir, "chaos", known);
}

/** The name of a drill: of the run, and of the step that began it where the run has several. */
export function idOf(ctx: StepContext): string {
  const { path } = ctx.step;
  if (!path.includes("/")) return ctx.run.id;
  return `${ctx.run.id}-${createHash("sha256").update(path).digest("hex").slice(0, 6)}`;
}

/** The folder of one drill. @throws PgdbaError invalid_param for an id that is none */
export function placeOf(ctx: StepContext, id: string): string {
  if (!ID.test(id) || id.startsWith("."))
    throw new PgdbaError("invalid_param", `${JSON.stringify(id.slice(0, 60))} is no drill`, {
      hint: "Give the id that chaos.load has given, or one that chaos/report lists.",
    });
  return join(folderOf(ctx), id);
}

/** @throws PgdbaError io_failed */
export async function keep(place: string, name: string, value: Json | object): Promise<void> {
  try {
    await mkdir(place, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileError(place, error);
  }
  await writeWhole(join(place, name), `${JSON.stringify(value)}\n`);
}

/** What `keep` has kept; undefined when there is none. @throws PgdbaError io_failed | step_failed */
export function kept<T>(place: string, name: string): T | undefined {
  const file = join(place, name);
  const text = readTextIfThere(file, { maxBytes: MAX_BYTES });
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as T & { format?: unknown };
    if (value.format === FORMAT) return value;
  } catch {
    // It is told below.
  }
  throw new PgdbaError("step_failed", `${file} is no file of a drill`, {
    hint: "It was written by another version of pgdba or by somebody else; move its folder away.",
  });
}

/** So many drills of a cluster keep all that was recorded; of older ones what was found is kept. */
const WHOLE = 50;

/** Removes the histories and samples of old drills: they are large, and nobody but a person reads them once the drill was judged. */
export async function thinOut(ctx: StepContext): Promise<void> {
  // Ids begin with the time.
  const places = (await placesOf(ctx, false)).toSorted();
  for (const place of places.slice(0, -WHOLE))
    for (const name of ["history", "samples.json"]) await rm(join(place, name), { force: true });
}

/**
 * The folders of all drills: of the target's cluster, or of all clusters, those included that are gone.
 * @throws PgdbaError io_failed
 */
export async function placesOf(ctx: StepContext, ofAll: boolean): Promise<string[]> {
  const root = join(ctx.run.stateDir, "chaos");
  const { cluster } = ctx.target;
  const clusters = ofAll || cluster === null ? await names(root) : [cluster];
  const all = clusters.map(async (one) =>
    (await names(join(root, one))).map((id) => join(root, one, id)),
  );
  return (await Promise.all(all)).flat();
}

async function names(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => ID.test(name) && !name.startsWith("."));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw fileError(folder, error);
  }
}
