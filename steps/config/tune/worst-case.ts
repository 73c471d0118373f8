import { formatKb, MB, parseKb } from "./size.ts";

type Values = Readonly<Record<string, string | number>>;

/**
 * kB of a session without any work: catalogue caches, stack, page tables. "A newly created connection consumes only up to 10 MB"
 * ("PostgreSQL Connections Memory Usage: How Much, Why and When?", PGConf.DE 2025); with huge pages it is below 2 MB
 * (A. Freund, "Measuring the Memory Overhead of a Postgres Connection", 2020).
 */
const SESSION_KB = 10 * MB;

export interface MemoryPart {
  name: string;
  /** The arithmetic, with the values filled in. */
  formula: string;
  bytes: number;
}

export interface WorstCase {
  ram_bytes: number;
  worst_case_bytes: number;
  fits: boolean;
  /** Worst case over RAM, to three decimals. */
  share: number;
  formula: string;
  parts: MemoryPart[];
}

const FORMULA =
  "shared_buffers + wal_buffers + max_connections × (10MB + work_mem × hash_mem_multiplier) + max_parallel_workers × (10MB + work_mem × hash_mem_multiplier) + autovacuum_max_workers × (10MB + autovacuum_work_mem) + maintenance_work_mem";

/**
 * Memory when all sessions and parallel workers are busy at once with one hash each, every autovacuum worker is full, and one
 * CREATE INDEX or VACUUM runs. Not a bound: one query may have several sorts and hashes, and temporary tables
 * (`temp_buffers`), extensions and the operating system come on top.
 * @param values settings as in postgresql.conf; what is missing counts with PostgreSQL's default for `version`
 * @param ramKb RAM in kB
 */
export function worstCaseMemory(values: Values, version: number, ramKb: number): WorstCase {
  const kb = (name: string, fallback: string): number => parseKb(String(values[name] ?? fallback));
  const count = (name: string, fallback: number): number => Number(values[name] ?? fallback);

  const maintenance = kb("maintenance_work_mem", "64MB");
  const perVacuum = vacuumMemory(kb("autovacuum_work_mem", `${maintenance}kB`), version);
  const workMem = kb("work_mem", "4MB");
  const hash = count("hash_mem_multiplier", version >= 15 ? 2 : 1);
  const perSession = SESSION_KB + workMem * hash;

  const fixed = (name: string, size: number): MemoryPart => ({
    name,
    formula: formatKb(size),
    bytes: size * 1024,
  });
  const each = (name: string, n: number, what: string, size: number): MemoryPart => ({
    name,
    formula: `${n} × (${formatKb(SESSION_KB)} + ${what})`,
    bytes: Math.ceil(n * size * 1024),
  });
  const query = `${formatKb(workMem)} × ${hash}`;
  const parts = [
    fixed("shared_buffers", kb("shared_buffers", "128MB")),
    fixed("wal_buffers", kb("wal_buffers", "4MB")),
    each("sessions", count("max_connections", 100), query, perSession),
    each("parallel_workers", count("max_parallel_workers", 8), query, perSession),
    each(
      "autovacuum",
      count("autovacuum_max_workers", 3),
      formatKb(perVacuum),
      SESSION_KB + perVacuum,
    ),
    fixed("maintenance", maintenance),
  ];
  const total = parts.reduce((sum, part) => sum + part.bytes, 0);
  const ram = ramKb * 1024;
  return {
    ram_bytes: ram,
    worst_case_bytes: total,
    fits: total <= ram,
    share: Math.round((total / ram) * 1000) / 1000,
    formula: FORMULA,
    parts,
  };
}

/** Before 17 VACUUM keeps dead row ids in an array that never exceeds 1 GB. */
function vacuumMemory(kb: number, version: number): number {
  return version < 17 ? Math.min(kb, 1024 * MB) : kb;
}
