import type { Mark } from "../../providers/backup/record.ts";
import { textOf } from "../../providers/backup/read-record.ts";
import { markPrefix } from "../../providers/repository/layout.ts";
import { defineStep } from "../define.ts";
import { backupPlace } from "./place.ts";
import { recordOf } from "./records.ts";

const ANY = { type: ["object", "null"] } as const;

export default defineStep({
  type: "backup.record",
  summary: "Show all that is known of one backup",
  docs: "Its record, as it was written last when the backup was taken, and the marks beside it: verified, damaged, drilled, pinned.",
  example: `- backup.record: {backup_id: 20261128T184500Z-full-1a2b3c}
`,
  effect: "read",
  idempotent: true,
  uses: ["repository"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["backup_id"],
    properties: { backup_id: { type: "string", minLength: 1 } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["where", "record", "marks"],
    properties: {
      where: { type: "string" },
      record: {
        type: "object",
        required: [
          "id",
          "type",
          "parent",
          "node",
          "source",
          "started_at",
          "finished_at",
          "bytes",
          "stored_bytes",
          "compression",
          "run",
          "tool",
          "cluster",
          "server",
          "databases",
          "parts",
          "wal",
          "manifest",
        ],
        properties: {
          id: { type: "string" },
          type: { type: "string" },
          parent: { type: ["string", "null"] },
          node: { type: "string" },
          source: { type: "string" },
          started_at: { type: "string" },
          finished_at: { type: "string" },
          bytes: { type: "number" },
          stored_bytes: { type: "number" },
          compression: { type: "string" },
          run: { type: "string" },
          tool: { type: "string" },
          cluster: { type: "object" },
          server: { type: "object" },
          databases: { type: "array", items: { type: "object" } },
          parts: { type: "array", items: { type: "object" } },
          wal: ANY,
          manifest: ANY,
        },
      },
      marks: {
        type: "array",
        items: {
          type: "object",
          required: ["kind", "at", "run"],
          properties: {
            kind: { type: "string" },
            at: { type: "string" },
            run: { type: "string" },
          },
        },
        description: "The oldest first",
      },
    },
  },
  async run(ctx, { backup_id: id }) {
    const place = await backupPlace(ctx);
    const { repository, key } = place;
    const record = await recordOf(place, id);
    const marks: Mark[] = [];
    for await (const { name } of repository.list(markPrefix(key, id), { signal: ctx.signal })) {
      const bytes = await repository.read(name, { signal: ctx.signal });
      if (bytes !== null) marks.push(JSON.parse(await textOf(bytes, name)) as Mark);
    }
    return {
      where: repository.where,
      record,
      marks: marks.toSorted((a, b) => (a.at < b.at ? -1 : 1)),
    };
  },
});
