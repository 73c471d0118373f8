import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Repository } from "../../repository/contract.ts";
import { backupPrefix, type ClusterKey } from "../../repository/layout.ts";
import type { Part } from "../record.ts";
import { counted, heard, outputOf } from "./output.ts";
import { assertRan, type Programs } from "./programs.ts";

export interface Stored {
  repository: Repository;
  key: ClusterKey;
  id: string;
  part: Part;
  signal: AbortSignal;
}

const HINT =
  "Look at what pg_restore says. A role that is missing: create it (the backup's globals.sql has them), or restore without owners (--no-owners). An extension that is missing: install its files on the server. A function that finds no table, though it is there: it names no schema, and pg_restore has none in its search_path; ALTER FUNCTION … SET search_path cures that for later backups, and of a physical one `pgdba backup restore --to-new-cluster NAME` needs no dump.";

/**
 * Restores a dump into a database that is there, and ends at the first error. Its bytes are compared with their sum on the way: what does
 * not match fails in the end, so nobody may use the database before this has returned.
 */
export async function loadDump(
  { programs, env }: Omit<Side, "database">,
  stored: Stored,
  to: {
    database: string;
    options?: readonly string[];
    /** Lines of its table of contents: nothing else is restored. */
    entries?: readonly string[];
  },
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  const argv = [
    join(programs.folder, "pg_restore"),
    "--exit-on-error",
    "--no-password",
    `--dbname=${conninfo({ dbname: to.database })}`,
    ...(to.options ?? []),
  ];
  const command = to.entries === undefined ? argv : onlyEntries(argv, to.entries);
  const { stream, count } = counted(await sourceOf(stored));
  const told = heard(stream, onBytes);
  try {
    const ran = await programs.run(command, { env, stdin: told.stream });
    if (told.failed() !== undefined) throw told.failed();
    assertRan(`pg_restore into ${to.database}`, ran, HINT);
    for await (const _ of stream);
  } finally {
    told.close();
  }
  if (count.sha256() === stored.part.sha256) return;
  throw new PgdbaError(
    "step_failed",
    `${stored.part.name} of ${stored.id} is damaged: its bytes are not those that were stored`,
    { hint: "Take another backup, or restore an older one." },
  );
}

/** The table of contents of a dump, a line for each entry. */
export async function contentsOf(programs: Programs, stored: Stored): Promise<string[]> {
  const ran = await programs.run([join(programs.folder, "pg_restore"), "--list"], {
    stdin: await sourceOf(stored),
    maxBytes: 64 * 1024 * 1024,
  });
  assertRan(
    "pg_restore --list",
    ran,
    "The dump can't be read. `pgdba backup verify ID` tells whether it is damaged.",
  );
  return ran.stdout.split("\n").filter((line) => /^\d+; /.test(line));
}

interface Side {
  programs: Programs;
  env: Record<string, string>;
  database: string;
}

/** Brings tables, as SQL, from a database to another one. Their names must be free there. All or nothing. */
export async function moveTables(
  from: Side,
  tables: readonly string[],
  to: Side & { options?: readonly string[] },
): Promise<void> {
  const patterns = tables.map((table) => `--table=${table}`);
  await move(
    from,
    ["--strict-names", ...patterns],
    // Whoever published the table published no copy of it.
    { ...to, options: ["--single-transaction", "--no-publications", ...(to.options ?? [])] },
    `pg_dump of ${tables[0]}`,
  );
}

/**
 * Brings all of a database into an empty one, and ends at the first error. A subscription would draw changes from another server as soon as somebody
 * enables it, by the slot of the original: it stays out.
 */
export async function moveDatabase(
  from: Side,
  to: Side & { options?: readonly string[] },
  onBytes: (bytes: number) => void,
): Promise<void> {
  const options = ["--no-subscriptions", ...(to.options ?? [])];
  await move(from, [], { ...to, options }, `pg_dump of ${from.database}`, onBytes);
}

async function move(
  from: Side,
  what: readonly string[],
  to: Side & { options?: readonly string[] },
  called: string,
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  const dump = [
    join(from.programs.folder, "pg_dump"),
    "--format=custom",
    "--compress=0",
    "--no-password",
    ...what,
  ];
  const env = { ...from.env, PGDATABASE: from.database };
  const told = heard(
    outputOf((onStdout) => from.programs.run(dump, { env, onStdout }), called, HINT),
    onBytes,
  );
  const load = [
    join(to.programs.folder, "pg_restore"),
    "--exit-on-error",
    "--no-password",
    `--dbname=${conninfo({ dbname: to.database })}`,
    ...(to.options ?? []),
  ];
  try {
    const ran = await to.programs
      .run(load, { env: to.env, stdin: told.stream })
      .catch((error: unknown) => {
        throw told.failed() ?? error;
      });
    if (told.failed() !== undefined) throw told.failed();
    assertRan(`pg_restore into ${to.database}`, ran, HINT);
  } finally {
    told.close();
  }
}

async function sourceOf({ repository, key, id, part, signal }: Stored) {
  const source = await repository.read(`${backupPrefix(key, id)}${part.name}`, { signal });
  if (source !== null) return source;
  throw new PgdbaError("step_failed", `${part.name} of ${id} is gone from ${repository.where}`, {
    hint: "Restore another backup: `pgdba backup list`.",
  });
}

/** pg_restore may run on another machine, so that the list goes with the command, and not by a file of this one. */
function onlyEntries([program = "", ...options]: string[], entries: readonly string[]): string[] {
  return ["sh", "-c", LIST, "sh", entries.join("\n"), program, "--use-list=/dev/fd/3", ...options];
}

const LIST = `list=$1; shift
exec "$@" 3<<END
$list
END
`;

/** A connection string of which no value is taken for anything else: a name with `=` would be one itself. */
function conninfo(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}='${value.replace(/['\\]/g, "\\$&")}'`)
    .join(" ");
}
