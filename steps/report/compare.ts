import type { JsonObject } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { folderOf } from "../snapshots.ts";
import { milliseconds } from "../sql/session.ts";
import { COUNT, MAYBE_TEXT, object } from "./collect/schema.ts";
import { SNAPSHOT, type Snapshot } from "./collect/shape.ts";
import { keep, type Kept, readHistory } from "./trends/store.ts";
import { compare, TRENDS } from "./trends/trends.ts";

export default defineStep({
  type: "report.compare",
  summary: "Compare a snapshot with those kept of earlier reports, and keep this one",
  docs: `The figures of each report stay in the state folder (\`snapshots/<system identifier>/\`, 0600): sizes, counters, which findings there
were; no texts of queries and no data. With more than \`keep\` of them the past is thinned out, the more the longer ago, so that there
is always one from yesterday, last week and last month to compare with.

Counters that were reset in between, and relations and statements that one side's list has no room for, are left out rather than
guessed at. What is new since then grew from nothing, by its oid; growth per day is only told when an hour or more is in between.
Changes nothing on the server; with \`--plan\` nothing is kept either.`,
  example: `- id: now
  report.snapshot: {}
- report.compare:
    snapshot: \${steps.now.output}
    since: 7d
`,
  effect: "read",
  idempotent: true,
  input: {
    type: "object",
    additionalProperties: false,
    required: ["snapshot"],
    properties: {
      snapshot: { ...SNAPSHOT, description: "The output of report.snapshot" },
      findings: {
        type: "array",
        items: { type: "object" },
        description: "Of health/check, to tell new ones from known ones",
      },
      since: {
        type: ["string", "null"],
        format: "duration",
        description:
          "Compare with the snapshot that is nearest to this age; by default with the last",
      },
      store: { type: "boolean", default: true, description: "Keep this one" },
      keep: {
        type: "integer",
        minimum: 2,
        maximum: 1000,
        default: 60,
        description: "How many stay",
      },
    },
  },
  output: object({
    trends: TRENDS,
    file: { ...MAYBE_TEXT, description: "Where this snapshot is kept; null when it is not" },
    keep: COUNT,
  }),
  async run(ctx, input) {
    const snapshot = input.snapshot as Snapshot;
    const now = keptOf(snapshot, withConsequences((input.findings ?? []) as JsonObject[]));
    const folder = folderOf(ctx.run.stateDir, snapshot.server.identity, snapshot.server.node);
    const { kept, unreadable } = await readHistory(folder, now.counters);
    for (const file of unreadable)
      ctx.warn(`${file} is no snapshot that this version can read; remove it`);
    const age = input.since == null ? undefined : milliseconds(input.since);
    const trends = compare(kept, nearest(kept, now, age), now, snapshot);
    const most = input.keep ?? 60;
    const store = input.store !== false && !ctx.run.plan;
    return { trends, file: store ? await keep(folder, now, most) : null, keep: most };
  },
});

/** A finding that stands below its cause is compared like any other. */
function withConsequences(findings: readonly JsonObject[]): JsonObject[] {
  return findings.flatMap((finding) => [
    finding,
    ...withConsequences((finding["consequences"] ?? []) as JsonObject[]),
  ]);
}

function keptOf({ counters }: Snapshot, findings: JsonObject[]): Kept {
  const count = (word: string): number =>
    findings.filter(({ severity }) => severity === word).length;
  return {
    format: 1,
    counters,
    summary: { critical: count("critical"), warning: count("warning"), info: count("info") },
    findings: findings.map(({ severity, check, object: name }) => [
      String(severity),
      String(check),
      typeof name === "string" ? name : null,
    ]),
  };
}

function nearest(kept: Kept[], now: Kept, ageMs: number | undefined): Kept | undefined {
  if (ageMs === undefined) return kept.at(-1);
  const wanted = Date.parse(now.counters.taken_at) - ageMs;
  const distance = (each: Kept): number => Math.abs(Date.parse(each.counters.taken_at) - wanted);
  return kept.toSorted((a, b) => distance(a) - distance(b))[0];
}
