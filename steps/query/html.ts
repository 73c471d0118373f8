import { resolve } from "node:path";
import { writeWhole } from "../../engine/shared/write-file.ts";
import { defineStep } from "../define.ts";
import { type Analysis, page } from "./page/page.ts";

export default defineStep({
  type: "query.html",
  summary: "Draw the plan of a statement as one self-contained page",
  docs: `The page loads nothing and runs no script, follows the reader's light or dark, and prints. It is written whole or not at all, 0600:
statements hold data. A file of that name is replaced; with \`--plan\` nothing is written.`,
  example: `- id: analyze
  query.analyze: {sql: SELECT 1}
- query.html:
    file: plan.html
    analysis: \${steps.analyze.output}
`,
  effect: "read",
  idempotent: true,
  input: {
    type: "object",
    additionalProperties: false,
    required: ["file", "analysis"],
    properties: {
      file: {
        type: "string",
        minLength: 1,
        description: "Absolute, or relative to the working directory",
      },
      analysis: { type: "object", description: "The output of query.analyze" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["file", "bytes", "written"],
    properties: {
      file: { type: "string", description: "Absolute" },
      bytes: { type: "integer" },
      written: { type: "boolean" },
    },
  },
  async run(ctx, input) {
    const text = page(input.analysis as unknown as Analysis, ctx.target.name, ctx.clock.now());
    const file = resolve(ctx.cwd, input.file);
    if (!ctx.run.plan) await writeWhole(file, text);
    return { file, bytes: Buffer.byteLength(text), written: !ctx.run.plan };
  },
});
