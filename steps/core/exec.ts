import { resolve } from "node:path";
import type { Effect, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import {
  processEnv,
  processInputProperties,
  processOutput,
  processOutputFor,
  processOutputSchema,
  type ProcessInput,
} from "../program-output.ts";

interface Input extends ProcessInput {
  argv: (string | number)[];
  stdin?: string;
}

export default defineStep({
  type: "exec",
  summary: "Run a local program with the arguments given, without a shell",
  docs: `Each item of \`argv\` reaches the program as exactly one argument, whatever it holds: there is no shell, so
\`*\`, \`$HOME\`, \`|\` and \`>\` mean nothing. For those use \`shell\`.

- A value that starts with \`-\` is an option to most programs. Put \`--\` before values you did not write yourself.
- A command line can be read by every user of the machine: an \`argv\` that holds a secret is refused. Use \`env\` or \`stdin\`.
- It counts as a change unless it says \`effect: read\`; \`--plan\` then shows it and does not run it.
- On cancel or timeout the program and its children get SIGTERM, and SIGKILL two seconds later. They end with pgdba, also when that is
  killed. \`PGDBA_RUN\` in their environment is the id of the run.
- A program that leaves a daemon behind is not waited for beyond its own exit.`,
  example: `- exec:
    argv: [df, --output=avail, --, /var/lib/postgresql]
    effect: read
    parse: lines
`,
  oneAct: true,
  effect: (input: Input): Effect => input.effect ?? "change",
  idempotent: (input: Input) => input.idempotent === true,
  input: {
    type: "object",
    properties: {
      argv: {
        type: "array",
        items: { type: ["string", "number"] },
        minItems: 1,
        description: "The program, then its arguments",
      },
      stdin: { type: "string", description: "Text for its stdin; by default its stdin is empty" },
      ...processInputProperties,
    },
    required: ["argv"],
    additionalProperties: false,
  },
  output: processOutputSchema,
  outputFor: processOutputFor,
  async run(ctx: StepContext, input: Input) {
    const argv = input.argv.map(String);
    const result = await ctx.spawn(argv, {
      cwd: resolve(ctx.cwd, input.cwd ?? "."),
      env: processEnv(input.env),
      ...(input.stdin === undefined ? {} : { stdin: input.stdin }),
      ...(input.max_bytes === undefined ? {} : { maxBytes: input.max_bytes }),
    });
    return processOutput(argv[0]!, result, input);
  },
  async plan(ctx: StepContext, input: Input) {
    return {
      argv: input.argv.map(String),
      cwd: resolve(ctx.cwd, input.cwd ?? "."),
      env: Object.keys(input.env ?? {}),
    };
  },
});
