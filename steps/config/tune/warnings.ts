import type { Recommendation, TuneInput } from "./input.ts";
import { formatKb, GB, MB, parseKb, roughKb } from "./size.ts";
import { refusedConnections } from "./connections.ts";
import type { MemoryPart, WorstCase } from "./worst-case.ts";

/** The largest values that PostgreSQL accepts, where arithmetic on a huge machine passes them. */
const LARGEST: Record<string, string | number> = {
  shared_buffers: formatKb(8 * 1024 * GB - 8),
  effective_cache_size: formatKb(16 * 1024 * GB - 8),
  max_parallel_workers: 1024,
  max_parallel_workers_per_gather: 1024,
};

/** Warnings to read before using the values. @param measured true when the server's build was seen to take them */
export function warnings(
  input: TuneInput,
  settings: readonly Recommendation[],
  worst: WorstCase,
  measured = false,
): string[] {
  const value = (name: string) => settings.find((setting) => setting.name === name)?.value;
  const said: string[] = [];
  const largest = worst.parts.reduce((most, part) => (part.bytes > most.bytes ? part : most));
  if (!worst.fits) {
    const kb = (bytes: number) => roughKb(bytes / 1024);
    said.push(
      `In the worst case this needs ${kb(worst.worst_case_bytes)} of ${kb(worst.ram_bytes)} RAM, most of it, ${kb(largest.bytes)}, for ${advice(largest, value)}.`,
    );
  }
  said.push(...refusedConnections(input.version, value));
  if (input.memoryKb < 256 * MB)
    said.push("PGTune's rules are not made for less than 256MB of RAM: check the values by hand.");
  if (input.memoryKb > 100 * GB)
    said.push(
      "PGTune's rules are not made for more than 100GB of RAM: measure before keeping the values.",
    );
  if (input.version > 18)
    said.push(
      `PGTune's rules of July 2026 end at PostgreSQL 18; ${input.version} is treated like 18.`,
    );
  if (input.cpus === null) {
    said.push(
      "Without the number of CPUs, parallel query, I/O and autovacuum workers stay at PostgreSQL's defaults: give it to tune them.",
    );
  }
  if (value("wal_compression") === "lz4" && !measured) {
    said.push(
      "wal_compression = lz4 needs a server built with lz4, as the usual packages are; another refuses it: use on there.",
    );
  }
  if (value("io_method") === "io_uring") {
    said.push(
      `io_method = io_uring needs ${measured ? "" : "a server built with liburing and "}a kernel that allows it (many container runtimes do not); else the server does not start: use worker there.`,
    );
  }
  if (value("wal_level") === "minimal") {
    said.push(
      "wal_level = minimal rules out standbys, WAL archiving and base backups; a server with archive_mode on does not start with it.",
    );
  }
  for (const [name, largest] of measured ? [] : Object.entries(LARGEST)) {
    const got = value(name);
    if (got !== undefined && amount(got) > amount(largest))
      said.push(`${name} = ${got} is more than PostgreSQL accepts: use ${largest}.`);
  }
  return said;
}

/** Names the purpose of the largest part of the worst case, and the way to make it smaller. */
function advice({ name }: MemoryPart, value: (name: string) => unknown): string {
  switch (name) {
    case "sessions":
      return `sessions: put a connection pooler in front and give fewer connections than ${value("max_connections")}, or lower work_mem`;
    case "parallel_workers":
      return `${value("max_parallel_workers") ?? 8} parallel workers: lower max_parallel_workers, or work_mem`;
    case "autovacuum":
      return "autovacuum workers: lower autovacuum_work_mem";
    case "maintenance":
      return "one CREATE INDEX or VACUUM: lower maintenance_work_mem";
    default:
      return `${name}: lower it`;
  }
}

const amount = (value: string | number): number =>
  typeof value === "number" ? value : parseKb(value);
