export const GROUPS = [
  "availability",
  "connections",
  "replication",
  "wal",
  "vacuum",
  "bloat",
  "indexes",
  "statistics",
  "locks",
  "checkpoints",
  "memory",
  "configuration",
  "security",
  "sequences",
  "extensions",
];

export type Severity = "critical" | "warning" | "info";
/** Worst first. */
export const SEVERITIES: readonly Severity[] = ["critical", "warning", "info"];
