import { PgdbaError } from "../../engine/errors.ts";
import { shellQuoted } from "../../engine/shared/shell-words.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";

interface Input {
  question: string;
  expect?: string | null;
  otherwise?: string | null;
}

export default defineStep({
  type: "confirm",
  summary: "Ask a person before the run goes on",
  docs: `Asks on the terminal. Where there is none, the run stops as it is: nothing is taken back, its locks are released, and it ends with
exit 4 (\`approval_needed\`). \`pgdba resume RUN\` asks again: on a terminal, or answered by \`--confirm WORD\` with the word that \`expect\` names
(\`--yes\` where there is none), which counts only for the question as it was read: where reads with \`fresh: true\` before it make it another one
by now, that is asked. What is looked at before it is of then, so what acts behind it looks again. \`pgdba resume RUN --give-up\` is the no, and takes back what was done. A no on the terminal makes the run
fail, and so takes it back, too. No probe and no \`--assume\` answers a question.

What must not stay as it is for long, such as a pause of PgBouncer, is begun after the question.`,
  example: `- confirm:
    question: "The newest row is of {{run.started_at}}. Go on?"
`,
  effect: "change",
  idempotent: false,
  risk: "change",
  locks: "none",
  asks: true,
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
      otherwise: {
        type: ["string", "null"],
        minLength: 1,
        description:
          "A command that confirms the same where nobody is at a terminal; the hint begins with it",
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
  async run(ctx: StepContext, { question, expect, otherwise }: Input) {
    const by = await ctx.ask(question, expect ?? undefined);
    if (by) return { confirmed: true as const, by };
    ctx.unchanged();
    if (by === false)
      throw new PgdbaError("step_failed", "It was not confirmed", {
        hint: "What the run had done was taken back.",
      });
    const { id } = ctx.run;
    const flag = expect == null ? "--yes" : `--confirm=${shellQuoted(expect)}`;
    const yes =
      otherwise == null
        ? `\`pgdba resume ${id} ${flag}\` is the yes`
        : `Where nobody is at a terminal: \`${otherwise}\`. On one, \`pgdba resume ${id}\` asks again`;
    throw new PgdbaError("approval_needed", question, {
      hint: `${yes}; \`pgdba resume ${id} --give-up\` takes back what was done.`,
      data: { gate: "question", question, expect: expect ?? null },
    });
  },
  plan: async (_ctx, { question, expect }) => ({ question, expect: expect ?? null }),
});
