import type { Recommendation, TuneInput, Workload } from "./input.ts";
import { formatKb, GB, MB } from "./size.ts";
import { sharedBuffers } from "./memory.ts";

const WAL_SIZE: Record<Workload, { min: number; max: number }> = {
  web: { min: GB, max: 4 * GB },
  oltp: { min: 2 * GB, max: 8 * GB },
  olap: { min: 4 * GB, max: 16 * GB },
  mixed: { min: GB, max: 4 * GB },
  desktop: { min: 100 * MB, max: 2 * GB },
};

/** kB of `max_wal_size`. */
export const maxWalSize = (workload: Workload): number => WAL_SIZE[workload].max;

/** kB: 3 % of shared_buffers as the server itself would choose, between 32 kB and 16 MB, rounded up to 16 MB from 14. */
function walBuffers(input: TuneInput): number {
  const share = Math.floor((3 * sharedBuffers(input)) / 100);
  return share > 14 * MB ? 16 * MB : Math.max(share, 32);
}

/** Ordinary commits, checkpoints and the WAL they leave. */
export function walSettings(input: TuneInput): Recommendation[] {
  const { workload } = input;
  const size = WAL_SIZE[workload];
  const buffers = walBuffers(input);
  return [
    {
      name: "checkpoint_completion_target",
      value: 0.9,
      reason:
        "Spreads a checkpoint's writes over 90 % of the time to the next, instead of one burst that stalls queries.",
    },
    {
      name: "wal_buffers",
      value: formatKb(buffers),
      reason:
        buffers === 16 * MB
          ? "One WAL segment: the most that helps, since a segment's end forces a write anyway."
          : `3 % of ${formatKb(sharedBuffers(input))} shared_buffers, the server's own rule.`,
    },
    {
      name: "min_wal_size",
      value: formatKb(size.min),
      reason: `Keeps ${formatKb(size.min)} of WAL files to reuse, so that a burst of ${workload} writes need not create them.`,
    },
    {
      name: "max_wal_size",
      value: formatKb(size.max),
      reason: `Lets a workload like ${workload} write ${formatKb(size.max)} between checkpoints, so that time starts them and not volume. The volume of pg_wal must hold it; recovery after a crash replays up to as much.`,
    },
    ...compression(input),
    ...minimal(input),
  ];
}

function compression({ version }: TuneInput): Recommendation[] {
  return [
    version >= 15
      ? {
          name: "wal_compression",
          value: "lz4",
          reason:
            "Full-page images shrink at little CPU, and with them WAL, archive and replication traffic. Needs a server built with lz4.",
        }
      : {
          name: "wal_compression",
          value: "on",
          reason: `Full-page images shrink, and with them WAL, archive and replication traffic; ${version} knows only its own pglz, on.`,
        },
  ];
}

function minimal({ workload }: TuneInput): Recommendation[] {
  if (workload !== "desktop") return [];
  return [
    {
      name: "wal_level",
      value: "minimal",
      reason:
        "A desktop has no standby, so bulk loads may skip WAL. Rules out standbys, WAL archiving and base backups.",
    },
    {
      name: "max_wal_senders",
      // PGTune prints it as text, alone among the counts.
      value: "0",
      reason: "A server with wal_level = minimal refuses to start with WAL senders.",
    },
  ];
}
