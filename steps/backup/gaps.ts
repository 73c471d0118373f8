import { lsnText } from "../../providers/postgres/lsn.ts";
import { defineStep } from "../define.ts";
import { GAP, gapRows } from "./archive/shape.ts";
import { archiveState } from "./archive/state.ts";

const TEXT = { type: ["string", "null"] } as const;

export default defineStep({
  type: "backup.gaps",
  summary: "Find what ought to be in the archive and is not",
  docs: `From the start of the oldest backup (without one, from the oldest WAL that is there) over the chain of timelines to the segment that the primary
writes now, every segment and every history file ought to be in the repository. What the primary's archiver has still to bring is \`waiting\`, and no
gap. While no server takes writes, or for a role that may not see it, \`archiver\` is null, and holes are found up to the newest segment that is there.`,
  example: `- backup.gaps: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["repository"],
  uses: ["postgres", "member", "superuser"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "where",
      "timeline",
      "from",
      "gaps",
      "missing",
      "histories",
      "waiting",
      "archiver",
      "receiver",
      "wal_age_seconds",
    ],
    properties: {
      where: { type: "string" },
      timeline: { type: "number", description: "The one whose chain was looked at" },
      from: { ...TEXT, description: "Where the search began; null when there is no WAL yet" },
      gaps: { type: "array", items: GAP },
      missing: { type: "number", description: "Segments" },
      histories: {
        type: "array",
        items: { type: "string" },
        description: "History files that are missing",
      },
      waiting: { type: "number", description: "Segments that the primary has still to archive" },
      archiver: {
        type: ["object", "null"],
        additionalProperties: false,
        required: [
          "failing",
          "failed",
          "last_failed_wal",
          "last_failed_at",
          "last_archived_wal",
          "last_archived_at",
          "age_seconds",
        ],
        properties: {
          failing: { type: "boolean", description: "Its last attempt failed" },
          failed: { type: "number" },
          last_failed_wal: TEXT,
          last_failed_at: TEXT,
          last_archived_wal: TEXT,
          last_archived_at: TEXT,
          age_seconds: { type: ["number", "null"], description: "Since its last success" },
        },
      },
      receiver: {
        type: ["object", "null"],
        additionalProperties: false,
        required: ["slot", "active", "behind_bytes"],
        properties: {
          slot: { type: "string" },
          active: { type: "boolean", description: "`backup receive` runs" },
          behind_bytes: { type: ["number", "null"], description: "WAL that is kept for it" },
        },
        description: "Of a cluster whose WAL is streamed",
      },
      wal_age_seconds: {
        type: ["number", "null"],
        description: "Since the newest segment was archived, by the repository's clock",
      },
    },
  },
  async run(ctx) {
    const { where, missing, archiver, receiver, walAgeSeconds } = await archiveState(ctx);
    return {
      where,
      timeline: missing.timeline,
      from: missing.from === null ? null : lsnText(missing.from),
      gaps: gapRows(missing),
      missing: missing.segments.length,
      histories: missing.histories,
      waiting: missing.waiting.length,
      archiver: archiver && { ...archiver },
      receiver: receiver && { ...receiver },
      wal_age_seconds: walAgeSeconds,
    };
  },
});
