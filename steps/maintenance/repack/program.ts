import { existsSync } from "node:fs";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { shellQuoted } from "../../../engine/shared/shell-words.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { programFolders, runsHere } from "../../local-programs.ts";

const EXTENSION = `SELECT (SELECT extversion FROM pg_extension WHERE extname = 'pg_repack') AS installed,
  (SELECT default_version FROM pg_available_extensions WHERE name = 'pg_repack') AS available`;
const VERSION = /^pg_repack (\S+)/;

/**
 * The program of this machine that is of the extension's version: pg_repack refuses any other.
 * @returns its path
 * @throws PgdbaError unsupported with what to install | insufficient_privilege
 */
export async function programFor(ctx: StepContext, pg: PgSession): Promise<string> {
  const { version_num, database, superuser, user } = pg.info;
  const major = Math.floor(version_num / 10_000);
  const packages = `Debian: apt-get install postgresql-${major}-repack; Red Hat: dnf install pg_repack_${major}`;
  const create = `\`pgdba extension create pg_repack --database ${shellQuoted(database)}\``;
  const refuse = (message: string, hint: string) =>
    new PgdbaError("unsupported", message, { hint });
  const [row] = (await pg.ask(EXTENSION)).rows;
  if (row?.["installed"] == null)
    throw refuse(
      `The extension pg_repack is not in the database ${database}${row?.["available"] == null ? ", and the server does not have it" : ""}`,
      row?.["available"] == null
        ? `Install it on every server of the cluster (${packages}), then, as a superuser: ${create}`
        : `As a superuser: ${create}`,
    );
  if (!superuser)
    throw new PgdbaError(
      "insufficient_privilege",
      `${user} is no superuser, and pg_repack asks for one`,
      {
        hint: "Run it as a superuser (--user).",
      },
    );
  const installed = String(row["installed"]);
  const library = VERSION.exec(
    String((await pg.query("SELECT repack.version() AS said")).rows[0]?.["said"]),
  )?.[1];
  if (library !== installed)
    throw refuse(
      `The extension pg_repack of ${database} is ${installed}, and its library on the server is ${library ?? "unknown"}`,
      `As a superuser: \`pgdba extension drop pg_repack --database ${shellQuoted(database)}\`, then ${create}`,
    );
  const found = await programs(ctx);
  const fitting = found.find(({ version }) => version === installed);
  if (fitting !== undefined) return fitting.path;
  throw refuse(
    found.length === 0
      ? "The program pg_repack was not found on this machine"
      : `The extension pg_repack of ${database} is ${installed}, and no program of this version is on this machine: ${found.map(({ path, version }) => `${path} is ${version}`).join(", ")}`,
    `Install pg_repack ${installed} on this machine (${packages}), or put the folder that has it into PATH.`,
  );
}

async function programs(ctx: StepContext): Promise<{ path: string; version: string }[]> {
  const run = runsHere(ctx);
  const paths = (await programFolders(ctx))
    .map((folder) => join(folder, "pg_repack"))
    .filter((path) => existsSync(path));
  const found = await Promise.all(
    paths.map(async (path) => {
      const said = await run([path, "--version"]).catch(() => null);
      const version = VERSION.exec(said?.exit_code === 0 ? said.stdout : "")?.[1];
      return version === undefined ? [] : [{ path, version }];
    }),
  );
  return found.flat();
}
