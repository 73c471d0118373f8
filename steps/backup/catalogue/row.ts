import type { Listed } from "../../../providers/backup/catalogue.ts";
import { isDamaged } from "../../../providers/backup/marks.ts";

const TEXT = { type: ["string", "null"] } as const;

/** The columns of a backup in a list. */
export const BACKUP = {
  type: "object",
  additionalProperties: false,
  required: [
    "id",
    "type",
    "parent",
    "status",
    "why",
    "node",
    "source",
    "started_at",
    "finished_at",
    "seconds",
    "bytes",
    "stored_bytes",
    "timeline",
    "end_lsn",
    "end_segment",
    "restorable_from",
    "restorable_until",
    "verified_at",
    "drilled_at",
    "drill_failed_at",
    "pinned",
    "version",
    "tool",
    "run",
  ],
  properties: {
    id: { type: "string" },
    type: { type: "string", enum: ["full", "incremental", "logical"] },
    parent: { ...TEXT, description: "The backup that it is the difference to" },
    status: {
      type: "string",
      enum: ["complete", "verified", "drilled", "drill_failed", "damaged", "broken"],
      description:
        "`complete`: all of it was written. `verified`: every byte was read back. `drilled`: it was restored and checked. `drill_failed`: that failed, and has not passed since. `damaged`: it was read back, and differs. `broken`: what it needs is missing",
    },
    why: { ...TEXT, description: "What is wrong with it" },
    node: { type: "string" },
    source: { type: "string" },
    started_at: { type: "string" },
    finished_at: { type: "string" },
    seconds: { type: "number" },
    bytes: { type: "number" },
    stored_bytes: { type: "number" },
    timeline: { type: ["number", "null"] },
    end_lsn: TEXT,
    end_segment: { ...TEXT, description: "The last WAL that it can't do without" },
    restorable_from: { ...TEXT, description: "The first moment that it can be brought to" },
    restorable_until: { ...TEXT, description: "How far WAL comes from there without a hole" },
    verified_at: TEXT,
    drilled_at: TEXT,
    drill_failed_at: {
      ...TEXT,
      description: "When a drill of it failed, and none has passed since",
    },
    pinned: { type: "boolean", description: "Retention leaves it alone" },
    version: { type: "string" },
    tool: { type: "string" },
    run: { type: "string" },
  },
} as const;

export function rowOf(
  listed: Listed,
  until: ReadonlyMap<string, string | null>,
  unfit: ReadonlyMap<string, string>,
) {
  const { summary, marks } = listed;
  const { id, wal } = summary;
  const usable = until.has(id);
  const drillFailed = (marks.drill_failed ?? "") > (marks.drilled ?? "");
  const why = usable || wal === null ? null : (unfit.get(id) ?? "its timeline is not known");
  return {
    id,
    type: summary.type,
    parent: summary.parent,
    status: isDamaged(marks)
      ? ("damaged" as const)
      : why !== null
        ? ("broken" as const)
        : drillFailed
          ? ("drill_failed" as const)
          : marks.drilled
            ? ("drilled" as const)
            : marks.verified
              ? ("verified" as const)
              : ("complete" as const),
    why:
      why ??
      (isDamaged(marks)
        ? "it was read back, and is damaged"
        : drillFailed
          ? "its last drill failed"
          : null),
    node: summary.node,
    source: summary.source,
    started_at: summary.started_at,
    finished_at: summary.finished_at,
    seconds:
      Math.round((Date.parse(summary.finished_at) - Date.parse(summary.started_at)) / 100) / 10,
    bytes: summary.bytes,
    stored_bytes: summary.stored_bytes,
    timeline: wal?.end_timeline ?? null,
    end_lsn: wal?.end_lsn ?? null,
    end_segment: wal?.end_segment ?? null,
    restorable_from: usable ? summary.finished_at : null,
    restorable_until: usable ? (until.get(id) ?? null) : null,
    verified_at: marks.verified ?? null,
    drilled_at: marks.drilled ?? null,
    drill_failed_at: drillFailed ? marks.drill_failed! : null,
    pinned: (marks.pinned ?? "") > (marks.unpinned ?? ""),
    version: summary.version,
    tool: summary.tool,
    run: summary.run,
  };
}
