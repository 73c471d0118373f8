import { join } from "node:path";
import type { Repository } from "../../repository/contract.ts";
import { backupPrefix, type ClusterKey } from "../../repository/layout.ts";
import type { Part } from "../record.ts";
import { counted, outputOf } from "./output.ts";
import { majorOf, type Programs } from "./programs.ts";

export interface Dumping {
  programs: Programs;
  /** libpq's variables, the one with the password file among them. */
  env: Record<string, string>;
  repository: Repository;
  key: ClusterKey;
  id: string;
  signal: AbortSignal;
}

const HINT =
  "Look at what pg_dump says. The role must be able to read all tables: GRANT pg_read_all_data TO it, or connect as a superuser.";

/** Dumps a database in pg_dump's custom format into the repository, as it comes. `raw`: its size on the server. */
export async function dumpDatabase(
  dumping: Dumping,
  part: { number: number; database: string; raw: number },
  onBytes: (bytes: number) => void,
): Promise<Part> {
  const { programs, env } = dumping;
  const name = `dump-${String(part.number).padStart(4, "0")}.pgdump`;
  // The server compresses nothing here: pg_dump does, on the machine that it runs on. Before 16 it knows gzip alone.
  const compress = majorOf(programs.version) >= 16 ? "--compress=zstd:3" : "--compress=1";
  const argv = [
    join(programs.folder, "pg_dump"),
    "--format=custom",
    compress,
    "--no-password",
    "--lock-wait-timeout=60s",
  ];
  const count = await store(dumping, name, {
    what: `pg_dump of ${part.database}`,
    // The name of a database may look like a connection string: by the environment it is never taken for one.
    start: (onStdout) =>
      programs.run(argv, { env: { ...env, PGDATABASE: part.database }, onStdout }),
    onBytes,
  });
  const stored_bytes = count.bytes;
  return {
    name,
    kind: "dump",
    database: part.database,
    bytes: part.raw,
    stored_bytes,
    sha256: count.sha256(),
  };
}

/** Roles and tablespaces. Without their passwords where the role may not read these. */
export async function dumpGlobals(
  dumping: Dumping,
  { passwords }: { passwords: boolean },
): Promise<Part> {
  const { programs, env } = dumping;
  const name = "globals.sql";
  const argv = [
    join(programs.folder, "pg_dumpall"),
    "--globals-only",
    "--no-password",
    ...(passwords ? [] : ["--no-role-passwords"]),
  ];
  const count = await store(dumping, name, {
    what: "pg_dumpall",
    start: (onStdout) => programs.run(argv, { env, onStdout }),
  });
  return {
    name,
    kind: "globals",
    bytes: count.bytes,
    stored_bytes: count.bytes,
    sha256: count.sha256(),
  };
}

/** Stores what a program writes, as it comes; tells how much that was, and its sum. */
async function store(
  { repository, key, id, signal }: Dumping,
  name: string,
  from: {
    what: string;
    start: Parameters<typeof outputOf>[0];
    onBytes?: (bytes: number) => void;
  },
) {
  const { what, start, onBytes } = from;
  const { stream, count } = counted(outputOf(start, what, HINT));
  const told = async function* () {
    for await (const bytes of stream) {
      onBytes?.(bytes.length);
      yield bytes;
    }
  };
  await repository.create(`${backupPrefix(key, id)}${name}`, told(), { signal });
  return count;
}
