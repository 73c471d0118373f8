import { resolve } from "node:path";
import { writeWhole } from "../../engine/shared/write-file.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { page, type Report } from "./page/page.ts";
import { COUNT, object, TEXT } from "./collect/schema.ts";
import { SNAPSHOT } from "./collect/shape.ts";
import { TRENDS } from "./trends/trends.ts";

export default defineStep({
  type: "report.html",
  summary: "Write a report as one self-contained page",
  docs: `The page loads nothing and runs no script, follows the reader's light or dark, and prints with everything unfolded. It is written
whole or not at all, 0600: it tells much about a server. A file of that name is replaced; with \`--plan\` nothing is written.`,
  example: `- id: now
  report.snapshot: {}
- id: compared
  report.compare: {snapshot: "\${steps.now.output}"}
- id: health
  check: {}
- report.html:
    file: report.html
    health: \${steps.health.output}
    snapshot: \${steps.now.output}
    trends: \${steps.compared.output.trends}
`,
  effect: "read",
  idempotent: true,
  input: {
    type: "object",
    additionalProperties: false,
    required: ["file", "health", "snapshot", "trends"],
    properties: {
      file: {
        type: "string",
        minLength: 1,
        description: "Absolute, or relative to the working directory",
      },
      health: { type: "object", description: "The output of health/check" },
      snapshot: { ...SNAPSHOT, description: "The output of report.snapshot" },
      trends: { ...TRENDS, description: "Of report.compare" },
    },
  },
  output: object({
    file: { ...TEXT, description: "Absolute" },
    bytes: COUNT,
    written: { type: "boolean" },
  }),
  async run(ctx: StepContext, input) {
    const { health, snapshot, trends } = input as unknown as Report;
    const text = page({ target: ctx.target.name, health, snapshot, trends });
    const file = resolve(ctx.cwd, input.file);
    if (!ctx.run.plan) await writeWhole(file, text);
    return { file, bytes: Buffer.byteLength(text), written: !ctx.run.plan };
  },
});
