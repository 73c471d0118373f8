import { resolve } from "node:path";
import { writeWhole } from "../../engine/shared/write-file.ts";
import { defineStep } from "../define.ts";
import { reported } from "./drills/kept.ts";
import { OUTPUT, outputOf } from "./drills/schema.ts";
import { junit } from "./page/junit.ts";
import { page } from "./page/page.ts";

const FILE = {
  type: ["string", "null"],
  minLength: 1,
  default: null,
  description: "Absolute, or relative to the working directory; replaced where it is there",
} as const;

export default defineStep({
  type: "chaos.results",
  summary:
    "Tell what drills have shown, from what is kept of them, and write it as a page or for JUnit",
  docs: `It asks no server: what is kept in the state folder (\`chaos/CLUSTER\`) is enough. A drill that did not come to its check is \`unknown\`. The page loads nothing and runs no script. In JUnit's format a claim that does not hold
is a failure, one that nobody can tell an error, and what the place can't do is skipped. Files are written whole or not at all, 0600; with \`--plan\` none is written.`,
  example: `- chaos.results: {last: 5, junit: drills.xml}
`,
  effect: "read",
  idempotent: true,
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      drill: {
        type: ["string", "null"],
        default: null,
        description: "Its id; the newest without it",
      },
      last: {
        type: "integer",
        minimum: 1,
        maximum: 1000,
        default: 1,
        description: "So many, newest last",
      },
      html: FILE,
      junit: FILE,
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["drills", "files"],
    properties: {
      drills: { type: "array", items: OUTPUT },
      files: { type: "array", items: { type: "string" }, description: "Those that were written" },
    },
  },
  async run(ctx, input) {
    const drills = await reported(ctx, { id: input.drill ?? null, last: input.last ?? 1 });
    const files: string[] = [];
    for (const [name, make] of [
      [input.html, () => page(drills)],
      [input.junit, () => junit(drills)],
    ] as const) {
      if (!name || ctx.run.plan) continue;
      const file = resolve(ctx.cwd, name);
      await writeWhole(file, make());
      files.push(file);
    }
    return { drills: drills.map(({ drill, result }) => outputOf(drill, result)), files };
  },
});
