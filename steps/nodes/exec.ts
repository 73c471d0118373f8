import { PgdbaError } from "../../engine/errors.ts";
import type { Effect, Json, SpawnResult, StepContext } from "../../engine/types.ts";
import type { JobName, JobState, Nodes } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import {
  processEnv,
  type ProcessInput,
  processInputProperties,
  processOutput,
  processOutputFor,
  processOutputSchema,
} from "../program-output.ts";
import { Kept } from "./kept.ts";
import { NODE } from "./schema.ts";

interface Input extends ProcessInput {
  node: string;
  argv: (string | number)[];
  stdin?: string;
  user?: string;
}

const { env, ok_exit_codes, effect, idempotent, parse, max_bytes } = processInputProperties;

export default defineStep({
  type: "nodes.exec",
  summary: "Run a program on a node, without a shell",
  docs: `What changes something is a job: it is named by run, step and attempt, and its output stands in files of the node. When pgdba or the line
to the node ends, the job goes on, and \`pgdba resume\` finds it again instead of starting another. With \`effect: read\` it is an
ordinary program that ends with pgdba.

PGDATA, PGPORT and the server's programs are in the environment. Each item of \`argv\` reaches the program as it is: there is no shell. A command
line can be read by every user of the node: give secrets by \`stdin\`.`,
  example: `- nodes.exec:
    node: pg1
    argv: [pg_controldata]
    effect: read
`,
  oneAct: true,
  effect: (input: Input): Effect => input.effect ?? "change",
  idempotent: (input: Input) => input.idempotent === true,
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "argv"],
    properties: {
      node: NODE,
      argv: {
        type: "array",
        items: { type: ["string", "number"] },
        minItems: 1,
        description: "The program, then its arguments",
      },
      stdin: { type: "string", description: "Text fed to it; without this its stdin is empty" },
      user: {
        type: "string",
        description: "An account of the node; the one that its PostgreSQL runs as without it",
      },
      env: { ...env, description: "Environment variables of the program" },
      effect,
      idempotent,
      ok_exit_codes,
      parse,
      max_bytes,
    },
  },
  output: processOutputSchema,
  outputFor: processOutputFor,
  job: true,
  async run(ctx, input: Input) {
    const nodes = await ctx.use("nodes");
    const argv = input.argv.map(String);
    if (input.effect === "read")
      return processOutput(said(input), await ran(nodes, argv, input), input);
    const name = ctx.attached?.job ?? ctx.step.job;
    if (ctx.attached === undefined)
      await nodes.jobs.start(input.node, name, argv, optionsOf(input));
    return processOutput(said(input), await followed(ctx, nodes, name, input), input);
  },
  async plan(_ctx, input: Input): Promise<Json> {
    return { node: input.node, argv: input.argv.map(String), env: Object.keys(input.env ?? {}) };
  },
  async probe(ctx, input: Input) {
    const nodes = await ctx.use("nodes");
    const job = await nodes.jobs.find(input.node, ctx.step.job);
    if (job === null) return { state: "not_done" };
    if (job.state === "running") return { state: "running" };
    if (job.unknown !== undefined) return { state: "unknown", reason: job.unknown };
    const result = await followed(ctx, nodes, job.name, input);
    try {
      return { state: "done", output: processOutput(said(input), result, input) };
    } catch (error) {
      return { state: "failed", error: error as Error };
    }
  },
  async stop(ctx, input: Input) {
    const nodes = await ctx.use("nodes");
    await nodes.jobs.stop(input.node, ctx.step.job);
  },
  async forget(ctx, input: Input) {
    if (input.effect === "read") return;
    const nodes = await ctx.use("nodes");
    await nodes.jobs.forget(input.node, ctx.step.job);
  },
});

const said = ({ argv, node }: Input): string => `${argv[0]} on ${node}`;

function optionsOf({ env, stdin, user }: Input) {
  return {
    env: processEnv(env),
    ...(stdin === undefined ? {} : { stdin }),
    ...(user === undefined ? {} : { user }),
  };
}

/** @throws PgdbaError connection_failed when nobody knows how it ended */
async function ran(nodes: Nodes, argv: string[], input: Input): Promise<SpawnResult> {
  const { max_bytes: maxBytes } = input;
  const result = await nodes.exec(input.node, argv, {
    ...optionsOf(input),
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
  if (result.unknown === undefined) return result;
  throw new PgdbaError(
    "connection_failed",
    `Nobody knows how ${argv[0]} ended on ${input.node}: ${result.unknown}`,
    { retryable: true, hint: "Look at the node." },
  );
}

/** Follows the job to its end; told to stop, it stops the job first. @throws PgdbaError needs_operator when nobody knows how it ended */
async function followed(
  ctx: StepContext,
  nodes: Nodes,
  name: JobName,
  { node, argv, max_bytes = 1024 * 1024 }: Input,
): Promise<SpawnResult> {
  const stdout = new Kept(max_bytes, "start");
  const stderr = new Kept(max_bytes, "end");
  let ended: JobState;
  try {
    ended = await nodes.jobs.follow(node, name, {
      onStdout: (bytes) => stdout.add(bytes),
      onStderr: (bytes) => stderr.add(bytes),
      signal: ctx.signal,
    });
  } catch (error) {
    if (ctx.signal.aborted) await nodes.jobs.stop(node, name);
    throw error;
  }
  if (ended.unknown !== undefined) {
    throw new PgdbaError(
      "needs_operator",
      `Nobody knows how ${argv[0]} ended on ${node}: ${ended.unknown}`,
      {
        hint: `Look at the node, then say whether it was done: \`pgdba resume ${ctx.run.id} --assume ${ctx.step.path}=done\`, or \`=not_done\`.`,
      },
    );
  }
  const { exit_code, signal } = ended;
  return {
    exit_code,
    signal,
    stdout: stdout.text(),
    stderr: stderr.text(),
    truncated: stdout.truncated || stderr.truncated,
  };
}
