/** The input of the tuning arithmetic: plain facts, no flags, no server. */
export type Workload = "web" | "oltp" | "olap" | "mixed" | "desktop";
export type Disk = "ssd" | "hdd" | "nvme" | "san";
export type DbSize = "less_ram" | "mid_ram" | "greater_ram";
export type Os = "linux" | "windows" | "mac";

export interface TuneInput {
  /** Major version, 10 or later. */
  version: number;
  os: Os;
  workload: Workload;
  /** RAM the server may use, in kB (1024 bytes), whole. */
  memoryKb: number;
  /** null: not known. */
  cpus: number | null;
  /** null: by workload. */
  connections: number | null;
  disk: Disk;
  dbSize: DbSize;
}

/** A value as it would stand in postgresql.conf, and why. */
export interface Recommendation {
  name: string;
  value: string | number;
  reason: string;
}
