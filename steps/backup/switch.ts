import { defineStep } from "../define.ts";
import { onPrimary } from "./archive/members.ts";

export default defineStep({
  type: "backup.switch",
  summary: "End the current segment of WAL on the primary, so that it is archived now",
  docs: `A restore point is written first, by the name of the run: a segment with nothing in it would not be ended. \`backup.arrived\` tells when the segment is in
the repository.`,
  example: `- backup.switch: {}
`,
  effect: "change",
  idempotent: true,
  needs: ["postgres"],
  uses: ["member"],
  locks: "none",
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["segment", "lsn"],
    properties: {
      segment: { type: "string", description: "The file that was ended" },
      lsn: { type: "string" },
    },
  },
  async run(ctx) {
    return onPrimary(ctx, async (session) => {
      const changes = { changes: true, signal: ctx.signal };
      await session.query("SELECT pg_create_restore_point($1)", [`pgdba ${ctx.run.id}`], changes);
      const { rows } = await session.query(
        "SELECT lsn::text, pg_walfile_name(lsn) AS segment FROM pg_switch_wal() AS lsn",
        [],
        changes,
      );
      return { segment: String(rows[0]?.["segment"]), lsn: String(rows[0]?.["lsn"]) };
    });
  },
});
