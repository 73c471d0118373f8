import { amount } from "../../../engine/shared/amount.ts";
import type { Recommendation, TuneInput } from "./input.ts";

/** PostgreSQL's defaults, in force where PGTune recommends nothing. */
const DEFAULT_WORKER_PROCESSES = 8;
const DEFAULT_AUTOVACUUM_WORKERS = 3;
const DEFAULT_IO_WORKERS = 3;

/** Below four CPUs, or when their number is not known, parallel query stays at PostgreSQL's defaults. */
const tunesParallel = (input: TuneInput): input is TuneInput & { cpus: number } =>
  input.cpus !== null && input.cpus >= 4;

/** `max_worker_processes` as it will be: the recommendation, or the default. Also of `max_parallel_workers`. */
export function workerProcesses(input: TuneInput): number {
  return tunesParallel(input) ? input.cpus : DEFAULT_WORKER_PROCESSES;
}

/** `autovacuum_max_workers` as it will be. */
export function autovacuumWorkers({ cpus }: TuneInput): number {
  if (cpus === null || cpus < 16) return DEFAULT_AUTOVACUUM_WORKERS;
  return cpus >= 32 ? 5 : 4;
}

export function parallelSettings(input: TuneInput): Recommendation[] {
  if (!tunesParallel(input)) return [];
  const { cpus, workload, version } = input;
  const half = Math.ceil(cpus / 2);
  const perGather = workload === "olap" ? half : Math.min(half, 4);
  return [
    {
      name: "max_worker_processes",
      value: cpus,
      reason: `One per CPU. All parallel and background workers come from this pool; a standby needs at least as many as its primary.`,
    },
    {
      name: "max_parallel_workers_per_gather",
      value: perGather,
      reason:
        workload === "olap"
          ? `Half of ${cpus} CPUs: analytical queries are few and large, so that one may use many.`
          : half > 4
            ? "Capped at 4: further workers help a query little and take CPUs from other sessions."
            : `Half of ${cpus} CPUs, so that one query leaves room for the others.`,
    },
    {
      name: "max_parallel_workers",
      value: cpus,
      reason: `Parallel queries together use as many workers as there are CPUs; more would only wait for each other.`,
    },
    ...(version >= 11
      ? [
          {
            name: "max_parallel_maintenance_workers",
            value: Math.min(half, 4),
            reason: `CREATE INDEX may use ${half > 4 ? "4 workers; they share one maintenance_work_mem, so that more would have little each" : `half of ${cpus} CPUs`}.`,
          },
        ]
      : []),
  ];
}

export function autovacuumSettings(input: TuneInput): Recommendation[] {
  const workers = autovacuumWorkers(input);
  if (workers === DEFAULT_AUTOVACUUM_WORKERS) return [];
  return [
    {
      name: "autovacuum_max_workers",
      value: workers,
      reason: `A server with ${amount(input.cpus ?? 0, "CPU")} writes in more tables at once than ${DEFAULT_AUTOVACUUM_WORKERS} workers can follow; all of them share one cost limit.`,
    },
  ];
}

/** 18 and later. Worker processes do the I/O only where `io_method` says so. */
export function ioSettings({ version, os, cpus }: TuneInput): Recommendation[] {
  if (version < 18) return [];
  const method = os === "linux" ? "io_uring" : "worker";
  const workers = Math.min(32, Math.floor((cpus ?? 0) / 4));
  return [
    {
      name: "io_method",
      value: method,
      reason:
        method === "io_uring"
          ? "Linux reads asynchronously through io_uring at the least cost per read. Needs a server built with liburing."
          : "Only Linux has io_uring; I/O workers read ahead on every system.",
    },
    ...(method === "worker" && workers > DEFAULT_IO_WORKERS
      ? [
          {
            name: "io_workers",
            value: workers,
            reason: `A quarter of ${cpus} CPUs, at most 32: the default of ${DEFAULT_IO_WORKERS} can't keep the storage of a machine of this size busy.`,
          },
        ]
      : []),
  ];
}
