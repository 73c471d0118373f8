import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readTextIfThere } from "../../../engine/shared/read-file.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { Found } from "./look.ts";

const MAX_BYTES = 64 * 1024 * 1024;

/** What is different after a revoke. Of a large schema it is more than a note may hold, so it is a file, which the note names. */
export type Done = Pick<Found, "keep" | "taken" | "kept" | "later">;

export async function keepDone(ctx: StepContext, done: Done): Promise<void> {
  const { run, step } = ctx;
  const file = join(run.stateDir, "rights", `${run.id}.${encodeURIComponent(step.path)}`);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeWhole(file, JSON.stringify(done));
  ctx.note({ file });
}

/** Undefined before anything was noted, and once it was taken back. */
export function readDone(ctx: StepContext): Done | undefined {
  const file = fileOf(ctx);
  const text = file === undefined ? undefined : readTextIfThere(file, { maxBytes: MAX_BYTES });
  return text === undefined ? undefined : (JSON.parse(text) as Done);
}

export async function forgetDone(ctx: StepContext): Promise<void> {
  const file = fileOf(ctx);
  if (file !== undefined) await rm(file, { force: true });
}

const fileOf = ({ noted }: StepContext): string | undefined =>
  (noted as { file: string } | undefined)?.file;
