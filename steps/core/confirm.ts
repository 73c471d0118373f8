import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";

interface Input {
  question: string;
  expect?: string | null;
}

export default defineStep({
  type: "confirm",
  summary: "Ask a person before the run goes on",
  docs: `Asks on the terminal. Where there is none, the run stops as it is: nothing is taken back, its locks are released, and it ends with
exit 4 (\`approval_needed\`). \`pgdba resume RUN\` is the yes, and goes on behind this step; \`pgdba resume RUN --give-up\` is the no, and takes
back what was done. A no on the terminal makes the run fail, and so takes it back, too.

What must not stay as it is for long, such as a pause of PgBouncer, is begun after the question.`,
  example: `- confirm:
    question: "The newest row is of {{run.started_at}}. Go on?"
`,
  effect: "change",
  idempotent: false,
  risk: "change",
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["question"],
    properties: {
      question: { type: "string", minLength: 1, description: "With what the person decides by" },
      expect: {
        type: ["string", "null"],
        minLength: 1,
        description: "A word that must be typed, such as the cluster's name; yes without it",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["confirmed", "by"],
    properties: {
      confirmed: { const: true },
      by: { enum: ["terminal", "resume"], description: "How the answer came" },
    },
  },
  async run(ctx: StepContext, { question, expect }: Input) {
    const answer = await ctx.ask(question, expect ?? undefined);
    if (answer === true) return { confirmed: true as const, by: "terminal" as const };
    ctx.unchanged();
    if (answer === false)
      throw new PgdbaError("step_failed", "It was not confirmed", {
        hint: "What the run had done was taken back.",
      });
    ctx.note({ waits: true });
    throw new PgdbaError("approval_needed", question, {
      hint: `\`pgdba resume ${ctx.run.id}\` goes on; \`pgdba resume ${ctx.run.id} --give-up\` takes back what was done.`,
    });
  },
  plan: async (_ctx, { question, expect }) => ({ question, expect: expect ?? null }),
  // Whoever resumes a run that told it was waiting has read the question.
  probe: async (ctx) =>
    ctx.noted === undefined
      ? { state: "not_done" }
      : { state: "done", output: { confirmed: true, by: "resume" } },
  async undo(ctx) {
    ctx.unchanged();
  },
});
