import type { Json } from "../../engine/types.ts";
import { SHOWS } from "../../providers/pgbouncer/client.ts";
import { defineStep } from "../define.ts";
import { INSTANCES, meant } from "./ask/instances.ts";

export default defineStep({
  type: "pgbouncer.show",
  summary: "Ask the consoles of the cluster's PgBouncers for one of their SHOW tables",
  docs: `The rows are PgBouncer's own, which differ between its versions, each with the name of its PgBouncer as \`instance\`.`,
  example: `- pgbouncer.show: {what: pools}
`,
  effect: "read",
  idempotent: true,
  needs: ["pgbouncer"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["what"],
    properties: { what: { type: "string", enum: SHOWS }, instances: INSTANCES },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["rows"],
    properties: {
      rows: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: {},
          required: ["instance"],
          properties: { instance: { type: "string" } },
        },
      },
    },
  },
  async run(ctx, { what, instances }) {
    const pgbouncer = await ctx.use("pgbouncer");
    const names = meant(pgbouncer, instances);
    const tables = await Promise.all(
      names.map(async (instance) =>
        (await pgbouncer.show(instance, what)).map((row) => ({ instance, ...row })),
      ),
    );
    return { rows: tables.flat() as Json[] };
  },
});
