import type { Missing } from "../../../providers/backup/missing.ts";

/** A hole of the archive, as steps tell it. */
export const GAP = {
  type: "object",
  additionalProperties: false,
  required: ["timeline", "first", "last", "segments", "between_backups"],
  properties: {
    timeline: { type: "number" },
    first: { type: "string", description: "The first segment that is missing" },
    last: { type: "string" },
    segments: { type: "number" },
    between_backups: {
      type: "boolean",
      description:
        "It reaches exactly from the end of one backup to the start of the next: retention leaves such holes on purpose",
    },
  },
} as const;

export const gapRows = ({ gaps }: Pick<Missing, "gaps">) =>
  gaps.map(({ timeline, first, last, first_file, last_file, between_backups }) => ({
    timeline,
    first: first_file,
    last: last_file,
    segments: Number(last - first + 1n),
    between_backups,
  }));
