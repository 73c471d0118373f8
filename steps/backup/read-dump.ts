import { readPart, assertWhole, type Damage } from "../../providers/backup/logical/read.ts";
import { defineStep } from "../define.ts";
import { removePassfile } from "../local-programs.ts";
import { clientOf } from "./client.ts";
import { backupPlace } from "./place.ts";
import { mark, recordOf } from "./records.ts";

export default defineStep({
  type: "backup.read-dump",
  summary: "Read every byte of a logical backup back, and each dump through pg_restore",
  docs: `What is stored must be what was stored, and pg_restore must find a whole dump in it, down to the last row. Then the backup is \`verified\`, which is
put down beside its record with the rows of each table; else it is \`damaged\`, and the step fails. Nothing is restored.`,
  example: `- backup.read-dump: {id: 20261128T184500Z-logical-1a2b3c}
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  risk: "change",
  needs: ["postgres"],
  uses: ["nodes", "repository"],
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["id"],
    properties: { id: { type: "string", minLength: 1 } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["id", "verified", "databases"],
    properties: {
      id: { type: "string" },
      verified: { type: "boolean" },
      databases: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["database", "tables", "rows"],
          properties: {
            database: { type: "string" },
            tables: { type: "integer" },
            rows: { type: "number" },
          },
        },
      },
    },
  },
  async run(ctx, input) {
    const place = await backupPlace(ctx);
    const record = await recordOf(place, input.id);
    const client = await clientOf(ctx);
    try {
      const damages: Damage[] = [];
      const databases = [];
      let done = 0;
      for (const part of record.parts) {
        const at = { ...place, id: record.id, signal: ctx.signal };
        const { damage, rows } = await readPart(client.programs, at, part, (bytes) =>
          ctx.progress({
            done: (done += bytes),
            total: record.stored_bytes,
            unit: "bytes",
            text: part.name,
          }),
        );
        if (damage !== null) damages.push(damage);
        else if (part.database !== undefined) databases.push({ database: part.database, rows });
      }
      await mark(ctx, place, {
        backup: record.id,
        kind: damages.length > 0 ? "damaged" : "verified",
        facts: damages.length > 0 ? { damages } : { databases },
      });
      assertWhole(record.id, damages);
      return {
        id: record.id,
        verified: true,
        databases: databases.map(({ database, rows }) => ({
          database,
          tables: rows.length,
          rows: rows.reduce((total, one) => total + one.rows, 0),
        })),
      };
    } finally {
      await client.close();
    }
  },
  async plan(ctx, input) {
    const record = await recordOf(await backupPlace(ctx), input.id);
    return { id: record.id, stored_bytes: record.stored_bytes };
  },
  async forget(ctx) {
    await removePassfile(ctx);
  },
});
