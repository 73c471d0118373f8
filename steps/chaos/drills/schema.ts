import type { JsonObject } from "../../../engine/types.ts";
import type { Drill } from "./drill.ts";
import type { Result } from "./result.ts";

const NUMBER = { type: ["number", "null"] } as const;
const COUNT = { type: ["integer", "null"] } as const;

/** What a step says of a drill: the verdict with its reasons, and the figures. All else is in the report. */
export const OUTPUT = {
  type: "object",
  additionalProperties: false,
  required: [
    "drill",
    "name",
    "cluster",
    "began",
    "seconds",
    "verdict",
    "hypotheses",
    "acknowledged",
    "lost",
    "duplicate",
    "dirty",
    "phantom",
    "recovered",
    "rewound",
    "split",
    "forks",
    "most_writable",
    "gaps",
    "detect_ms",
    "elect_ms",
    "promote_ms",
    "redundancy_ms",
    "lost_span_ms",
    "lost_wal_bytes",
    "skipped",
    "seed",
    "command",
  ],
  properties: {
    drill: { type: "string" },
    name: { type: "string" },
    cluster: { type: "string" },
    began: { type: "string" },
    seconds: NUMBER,
    verdict: { type: "string", enum: ["valid", "invalid", "unknown", "skipped"] },
    hypotheses: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name", "held", "said"],
        properties: {
          name: { type: "string" },
          held: { type: ["boolean", "null"], description: "Null when nobody can tell" },
          said: { type: "string" },
        },
      },
    },
    acknowledged: COUNT,
    lost: { ...COUNT, description: "Acknowledged, and not there" },
    duplicate: COUNT,
    dirty: { ...COUNT, description: "There, though its client was told that it failed" },
    phantom: { ...COUNT, description: "There, and nobody has sent it" },
    recovered: { ...COUNT, description: "Its client did not know, and it is there: nothing wrong" },
    rewound: { ...COUNT, description: "Read by a client, and gone" },
    split: { ...COUNT, description: "Acknowledged by one server while another one did" },
    forks: { ...COUNT, description: "Lists of which there are two histories" },
    most_writable: { ...COUNT, description: "The most nodes that were writable at a time" },
    gaps: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["way", "longest_gap_ms", "failed_ms", "up_after_ms"],
        properties: {
          way: { type: "string" },
          longest_gap_ms: NUMBER,
          failed_ms: NUMBER,
          up_after_ms: {
            ...NUMBER,
            description: "From the fault until writes went on; null when they never stopped",
          },
        },
      },
    },
    detect_ms: NUMBER,
    elect_ms: NUMBER,
    promote_ms: NUMBER,
    redundancy_ms: {
      ...NUMBER,
      description: "From the fault until as many standbys streamed as before",
    },
    lost_span_ms: NUMBER,
    lost_wal_bytes: NUMBER,
    skipped: {
      type: ["string", "null"],
      description: "Why the place can't do what was to be done: then nothing was broken",
    },
    seed: {
      type: ["integer", "null"],
      description: "Drew what was left open; it stands in the command, too",
    },
    command: { type: "string", description: "Does the drill again" },
  },
} as const;

/** A drill without a result did not come to its end: nothing is known of it. */
export function outputOf(drill: Drill, result: Result | undefined): JsonObject {
  const judged = result?.judged ?? null;
  const { from_ms = null, to_ms = null } = judged?.lost ?? {};
  return {
    drill: drill.id,
    name: drill.name,
    cluster: drill.cluster,
    began: drill.began,
    seconds: result?.seconds ?? null,
    verdict: result?.verdict ?? "unknown",
    hypotheses: (result?.hypotheses ?? [
      { name: "the drill came to its end", held: null, said: "it was not checked" },
    ]) as unknown as JsonObject[],
    acknowledged: judged?.operations.ok ?? null,
    lost: judged?.lost.count ?? null,
    duplicate: judged?.duplicate.count ?? null,
    dirty: judged?.dirty.count ?? null,
    phantom: judged?.phantom.count ?? null,
    recovered: judged?.recovered.count ?? null,
    rewound: judged?.rewound.count ?? null,
    split: judged?.split.count ?? null,
    forks: judged?.forks.length ?? null,
    most_writable: result?.nodes?.most_writable ?? null,
    gaps: (result?.waits ?? []).map(({ way, longest_gap_ms, failed_ms, up_after_ms }) => ({
      way,
      longest_gap_ms,
      failed_ms,
      up_after_ms,
    })),
    detect_ms: result?.recovery?.detect_ms ?? null,
    elect_ms: result?.recovery?.elect_ms ?? null,
    promote_ms: result?.recovery?.promote_ms ?? null,
    redundancy_ms: result?.redundancy?.restored_ms ?? null,
    lost_span_ms: from_ms === null || to_ms === null ? null : to_ms - from_ms,
    lost_wal_bytes: judged?.lost.wal_bytes ?? null,
    skipped: result?.skipped ?? null,
    seed: drill.seed,
    command: drill.command,
  };
}
