import type { Gap } from "../../../providers/backup/continuity.ts";
import type { Missing } from "../../../providers/backup/missing.ts";

/** A hole of the archive, as steps tell it. */
export const HOLE = {
  type: "object",
  additionalProperties: false,
  required: ["timeline", "first", "last", "segments"],
  properties: {
    timeline: { type: "number" },
    first: { type: "string", description: "The first segment that is missing" },
    last: { type: "string" },
    segments: { type: "number" },
  },
} as const;

/** The same where it is known why it may be there. */
export const GAP = {
  ...HOLE,
  required: [...HOLE.required, "between_backups"],
  properties: {
    ...HOLE.properties,
    between_backups: {
      type: "boolean",
      description:
        "It reaches exactly from the end of one backup to the start of the next: retention leaves such holes on purpose",
    },
  },
} as const;

export const holeRow = ({ timeline, first, last, first_file, last_file }: Gap) => ({
  timeline,
  first: first_file,
  last: last_file,
  segments: Number(last - first + 1n),
});

export const gapRows = ({ gaps }: Pick<Missing, "gaps">) =>
  gaps.map((gap) => ({ ...holeRow(gap), between_backups: gap.between_backups }));
