import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readTextIfThere } from "../../engine/shared/read-file.ts";
import { writeWhole } from "../../engine/shared/write-file.ts";
import type { StepContext } from "../../engine/types.ts";
import { isPasswordOf } from "../../providers/postgres/scram.ts";
import { session } from "../sql/session.ts";

const MAX_BYTES = 64 * 1024;

/** A password and its end: one statement, so that no other password is good for the new time. */
export interface Login {
  verifier: string | null;
  /** As it is without one. */
  validUntil?: string | null | undefined;
}

/** The files are the run's, so that a later process of it finds them. */
export const newFile = (ctx: StepContext, role: string): string =>
  join(ctx.run.stateDir, "passwords", `${encodeURIComponent(role)}.${ctx.run.id}`);
export const oldFile = (ctx: StepContext, role: string): string => `${newFile(ctx, role)}.before`;

export async function made(ctx: StepContext, file: string): Promise<string> {
  const there = readTextIfThere(file, { maxBytes: MAX_BYTES })?.trim();
  const password = there || randomBytes(24).toString("base64url");
  ctx.secret(password);
  if (!there) await writePrivate(file, `${password}\n`);
  return password;
}

/** Once in a run: a second attempt must not take the new one for the old one. False where it is not `readable`. */
export async function keepOld(ctx: StepContext, role: string, readable: boolean): Promise<boolean> {
  const file = oldFile(ctx, role);
  if (readTextIfThere(file, { maxBytes: MAX_BYTES }) !== undefined) return true;
  if (!readable) return false;
  const { rows } = await (
    await session(ctx)
  ).query(
    `SELECT rolpassword AS verifier, coalesce(rolvaliduntil::text, 'infinity') AS until FROM pg_catalog.pg_authid WHERE rolname = $1`,
    [role],
  );
  const old = { verifier: rows[0]?.["verifier"] ?? null, validUntil: rows[0]?.["until"] ?? null };
  await writePrivate(file, JSON.stringify(old));
  return true;
}

export async function readOld(ctx: StepContext, role: string): Promise<Login | undefined> {
  const text = readTextIfThere(oldFile(ctx, role), { maxBytes: MAX_BYTES });
  return text === undefined ? undefined : (JSON.parse(text) as Login);
}

/** The password that this run has made, or undefined. */
export const readNew = (ctx: StepContext, role: string): string | undefined =>
  readTextIfThere(newFile(ctx, role), { maxBytes: MAX_BYTES })?.trim();

/** True when it is neither the old one nor `password`, so that somebody else has set it after this run had begun. False where nobody can tell. */
export async function isAnothers(
  ctx: StepContext,
  role: string,
  password: string | undefined,
): Promise<boolean> {
  const old = await readOld(ctx, role);
  if (old === undefined) return false;
  const verifier = await verifierOf(ctx, role);
  return (
    verifier !== old.verifier &&
    (verifier === null || password === undefined || !isPasswordOf(password, verifier))
  );
}

async function verifierOf(ctx: StepContext, role: string): Promise<string | null> {
  const pg = await session(ctx);
  const sql = "SELECT rolpassword AS verifier FROM pg_catalog.pg_authid WHERE rolname = $1";
  const [row] = (await pg.query(sql, [role])).rows;
  return (row?.["verifier"] as string | null | undefined) ?? null;
}

async function writePrivate(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeWhole(file, text);
}
