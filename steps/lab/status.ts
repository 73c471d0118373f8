import { labStatus, psqlCommand } from "../../providers/nodes/embedded/lab/lab.ts";
import { defineStep } from "../define.ts";

export default defineStep({
  type: "lab.status",
  summary: "Tell whether the lab is there and running, without starting it",
  example: `- lab.status: {}
`,
  effect: "read",
  idempotent: true,
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["exists", "running", "port", "data_dir", "version", "psql"],
    properties: {
      exists: { type: "boolean" },
      running: { type: "boolean" },
      port: { type: ["integer", "null"] },
      data_dir: { type: ["string", "null"] },
      version: { type: ["integer", "null"], description: "PostgreSQL's major version" },
      psql: { type: ["string", "null"], description: "The command that opens psql on it" },
    },
  },
  async run(ctx) {
    const { stateDir } = ctx.run;
    const found = await labStatus({ stateDir });
    const psql = found.running && found.port !== null ? psqlCommand(stateDir, found.port) : null;
    return { ...found, psql };
  },
});
