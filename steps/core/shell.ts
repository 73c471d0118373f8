import type { ChildProcess, spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import { resolve } from "node:path";
import type { Effect, SpawnOptions, SpawnResult, StepContext } from "../../engine/types.ts";
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
  script: string;
  shell?: "bash" | "sh";
}

/** `sh` knows no `pipefail` on every system. */
const STRICT = { bash: "set -euo pipefail", sh: "set -eu" };

export default defineStep({
  type: "shell",
  summary: "Run a static shell script that gets its inputs as environment variables",
  docs: `For what needs a pipe, a redirection or a glob; for a single program prefer \`exec\`.

- The script is static text: a template in it is refused. Inputs come in as \`env\` and are used as \`"$name"\`,
  **in double quotes**; unquoted, a value with a blank or a \`*\` falls apart.
- It runs under \`set -euo pipefail\` (\`sh\`: \`set -eu\`): the first failing command, an unset variable or a failing
  part of a pipe ends it.
- It counts as a change unless it says \`effect: read\`.
- On cancel or timeout the shell and its children get SIGTERM, and SIGKILL two seconds later.`,
  example: `- shell:
    script: |
      du -sk -- "$dir" | cut -f1
    env: {dir: /var/lib/postgresql}
    effect: read
`,
  oneAct: true,
  effect: (input: Input): Effect => input.effect ?? "change",
  idempotent: (input: Input) => input.idempotent === true,
  input: {
    type: "object",
    properties: {
      script: {
        type: "string",
        minLength: 1,
        // The kernel allows 128 KiB for one argument.
        maxLength: 100_000,
        "x-lang": "static",
        description: "The script, as static text",
      },
      shell: {
        enum: ["bash", "sh"],
        default: "bash",
        "x-lang": "static",
        description: "The shell that runs it",
      },
      ...processInputProperties,
    },
    required: ["script"],
    additionalProperties: false,
  },
  output: processOutputSchema,
  outputFor: processOutputFor,
  async run(ctx: StepContext, input: Input) {
    const result = await runScript(ctx, input, {
      cwd: resolve(ctx.cwd, input.cwd ?? "."),
      env: processEnv(input.env),
      ...(input.max_bytes === undefined ? {} : { maxBytes: input.max_bytes }),
    });
    return processOutput("the script", result, input);
  },
  async plan(ctx: StepContext, input: Input) {
    return {
      shell: input.shell ?? "bash",
      script: input.script,
      cwd: resolve(ctx.cwd, input.cwd ?? "."),
      env: Object.keys(input.env ?? {}),
    };
  },
});

/**
 * Runs it with zx, which starts the process through `ctx.spawn`: what zx starts by itself is out of reach of the second
 * Ctrl-C, and it keeps all output in memory.
 */
async function runScript(
  ctx: StepContext,
  input: Input,
  options: SpawnOptions,
): Promise<SpawnResult> {
  const { $, quote } = await import("zx/core");
  const shell = input.shell ?? "bash";
  let result: Promise<SpawnResult> | undefined;
  const start = (script: string) => {
    const child = new EventEmitter();
    result = ctx.spawn([shell, "-c", script], options);
    result.then(
      ({ exit_code, signal }) => child.emit("close", exit_code, signal),
      () => child.emit("close", null, null),
    );
    return child as ChildProcess;
  };
  const run = $({
    shell,
    prefix: `${STRICT[shell]}\n`,
    quote,
    nothrow: true,
    quiet: true,
    spawn: start as unknown as typeof spawn,
  });
  // No interpolation: the whole script is the one static piece of the template.
  await run([input.script] as unknown as TemplateStringsArray);
  return result!;
}
