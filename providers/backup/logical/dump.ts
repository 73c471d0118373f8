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
  { programs, env, repository, key, id, signal }: Dumping,
  part: { number: number; database: string; raw: number },
  onBytes: (bytes: number) => void,
): Promise<Part> {
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
  const { count } = await stored(
    repository,
    `${backupPrefix(key, id)}${name}`,
    signal,
    onBytes,
    (onStdout) =>
      // The name of a database may look like a connection string: by the environment it is never taken for one.
      programs.run(argv, { env: { ...env, PGDATABASE: part.database }, onStdout }),
    `pg_dump of ${part.database}`,
  );
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
  { programs, env, repository, key, id, signal }: Dumping,
  { passwords }: { passwords: boolean },
): Promise<Part> {
  const name = "globals.sql";
  const argv = [
    join(programs.folder, "pg_dumpall"),
    "--globals-only",
    "--no-password",
    ...(passwords ? [] : ["--no-role-passwords"]),
  ];
  const { count } = await stored(
    repository,
    `${backupPrefix(key, id)}${name}`,
    signal,
    () => {},
    (onStdout) => programs.run(argv, { env, onStdout }),
    "pg_dumpall",
  );
  return {
    name,
    kind: "globals",
    bytes: count.bytes,
    stored_bytes: count.bytes,
    sha256: count.sha256(),
  };
}

async function stored(
  repository: Repository,
  name: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
  start: Parameters<typeof outputOf>[0],
  what: string,
) {
  const { stream, count } = counted(outputOf(start, what, HINT));
  const told = async function* () {
    for await (const bytes of stream) {
      onBytes(bytes.length);
      yield bytes;
    }
  };
  await repository.create(name, told(), { signal });
  return { count };
}
