import { walName } from "../../providers/repository/layout.ts";
import { defineStep } from "../define.ts";
import { onPrimary } from "./archive/members.ts";

const ARCHIVER = `SELECT last_archived_wal, last_failed_wal, failed_count::int AS failed,
  coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing FROM pg_stat_archiver`;

export default defineStep({
  type: "backup.arrived",
  summary: "Tell whether a segment of WAL is in the repository",
  docs: `\`arrived\` is what the repository says, and the rest what the primary's archiver does: \`failing\` when its last attempt failed. Why it failed stands in
the server's log.`,
  example: `- backup.arrived: {segment: "000000010000000000000003"}
  until: output.arrived
  timeout: 60s
`,
  effect: "read",
  idempotent: true,
  needs: ["repository", "postgres"],
  uses: ["member"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["segment"],
    properties: { segment: { type: "string", pattern: "^[0-9A-F]{24}$" } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["arrived", "bytes", "failing", "last_archived_wal", "last_failed_wal"],
    properties: {
      arrived: { type: "boolean" },
      bytes: { type: ["integer", "null"] },
      failing: { type: "boolean" },
      last_archived_wal: { type: ["string", "null"] },
      last_failed_wal: { type: ["string", "null"] },
    },
  },
  async run(ctx, { segment }) {
    const { repository, key } = await ctx.use("repository");
    const found = await repository.stat(walName(key, segment), { signal: ctx.signal });
    const asked = await onPrimary(ctx, async (session) => (await session.ask(ARCHIVER)).rows[0]);
    return {
      arrived: found !== null,
      bytes: found?.bytes ?? null,
      failing: asked?.["failing"] === true,
      last_archived_wal: (asked?.["last_archived_wal"] ?? null) as string | null,
      last_failed_wal: (asked?.["last_failed_wal"] ?? null) as string | null,
    };
  },
});
