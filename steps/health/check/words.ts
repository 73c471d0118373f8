/** Findings of one severity stand in this order: what stops work now before what is to be planned. */
export const GROUPS = [
  "availability",
  "connections",
  "locks",
  "replication",
  "sequences",
  "wal",
  "vacuum",
  "bloat",
  "indexes",
  "statistics",
  "checkpoints",
  "memory",
  "configuration",
  "extensions",
  "security",
];

export type Severity = "critical" | "warning" | "info";
/** Worst first. */
export const SEVERITIES: readonly Severity[] = ["critical", "warning", "info"];
