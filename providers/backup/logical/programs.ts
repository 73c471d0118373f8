/** PostgreSQL's client programs: pg_dump, pg_dumpall, pg_restore. Never psql, which a dump can tell to run programs. */
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import type { SpawnOptions, SpawnResult } from "../../../engine/types.ts";

/** Runs a program to its end; one that fails does not throw. */
export type Runs = (argv: string[], options?: SpawnOptions) => Promise<SpawnResult>;

export interface Programs {
  /** The folder of the programs, and in words where that is. */
  folder: string;
  where: string;
  /** `180004` is 18.4. */
  version: number;
  run: Runs;
}

/** As `pg_dump --version` says it. */
const VERSION = /^pg_dump \(PostgreSQL\) (\d+)(?:\.(\d+))?/;

/** The programs of these folders that work, each with its version. */
export async function programsIn(
  folders: readonly string[],
  where: (folder: string) => string,
  run: Runs,
): Promise<Programs[]> {
  const found = await Promise.all(
    folders.map(async (folder) => {
      const said = await run([join(folder, "pg_dump"), "--version"]).catch(() => null);
      const [, major, minor = "0"] = VERSION.exec(said?.exit_code === 0 ? said.stdout : "") ?? [];
      return major === undefined
        ? null
        : { folder, where: where(folder), version: Number(major) * 10_000 + Number(minor), run };
    }),
  );
  return found.filter((one) => one !== null);
}

/**
 * The programs for a server: the oldest of those that are as new as it or newer, of several minor versions the newest. An older pg_dump does
 * not know what a newer server has, and refuses.
 * @throws PgdbaError unsupported
 */
export function fittingPrograms(
  all: readonly Programs[],
  server: { version_num: number; what: string },
): Programs {
  const major = majorOf(server.version_num);
  const fitting = all
    .filter(({ version }) => majorOf(version) >= major)
    .toSorted((a, b) => majorOf(a.version) - majorOf(b.version) || b.version - a.version);
  if (fitting[0] !== undefined) return fitting[0];
  const there = all.map(({ version, where }) => `${shown(version)} ${where}`).join(", ");
  throw new PgdbaError(
    "unsupported",
    all.length === 0
      ? `pg_dump was not found, and ${server.what} is PostgreSQL ${major}`
      : `${server.what} is PostgreSQL ${major}, and every pg_dump that was found is older: ${there}`,
    {
      hint: `Install the client programs of PostgreSQL ${major} or newer on this machine (Debian: apt-get install postgresql-client-${major}; Red Hat: dnf install postgresql${major}), or put the folder that has them into PATH.`,
      nothingDone: true,
    },
  );
}

export const majorOf = (version: number) => Math.floor(version / 10_000);
export const shown = (version: number) => `${majorOf(version)}.${version % 10_000}`;

/** The first minor version of each major one in which a name in a dump can't be taken for SQL or for a command (CVE-2025-8714, -8715). */
const NAMES_ARE_SAFE: Record<number, number> = { 13: 22, 14: 19, 15: 14, 16: 10, 17: 6 };

/** A sentence about programs with a known hole; null for others. */
export function weakness({ version, where }: Pick<Programs, "version" | "where">): string | null {
  const major = majorOf(version);
  const least = major < 13 ? Infinity : (NAMES_ARE_SAFE[major] ?? 0);
  if (version % 10_000 >= least) return null;
  return `The client programs ${where} are ${shown(version)}: with these, names of objects in the dump of a hostile database can bring SQL into the server that it is restored to (CVE-2025-8714, CVE-2025-8715). Update them${least === Infinity ? "" : ` to ${major}.${least}`}`;
}

/** @throws PgdbaError command_failed with the end of what the program said */
export function assertRan(
  what: string,
  { exit_code, signal, stderr }: SpawnResult,
  hint: string,
): void {
  if (exit_code === 0) return;
  const how =
    exit_code === null ? `was ended by ${signal ?? "nobody knows what"}` : `failed (${exit_code})`;
  const said = stderr.trim().split("\n").slice(-5).join("\n");
  throw new PgdbaError("command_failed", `${what} ${how}${said === "" ? "" : `: ${said}`}`, {
    hint,
  });
}
