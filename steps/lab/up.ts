import {
  discardUnfinished,
  labDown,
  labStatus,
  labUp,
  psqlCommand,
} from "../../providers/nodes/embedded/lab/lab.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";

export default defineStep({
  type: "lab.up",
  summary: "Start the lab, a PostgreSQL with planted problems; make and fill it the first time",
  docs: `Calls at the same time wait for each other and get the same server, which goes on when pgdba ends. It is the cluster
\`lab\` of the provider \`embedded\`, with the one node \`lab\`. Undo stops it if this step started it, and removes it if this step made it.`,
  example: `- lab.up: {}
`,
  effect: "change",
  idempotent: true,
  locks: "none",
  interruptible: true,
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "running",
      "made",
      "started",
      "host",
      "port",
      "user",
      "database",
      "data_dir",
      "version",
      "psql",
    ],
    properties: {
      running: { type: "boolean" },
      made: { type: "boolean", description: "This step made it" },
      started: { type: "boolean", description: "This step started it" },
      host: { type: "string" },
      port: { type: "integer" },
      user: { type: "string" },
      database: { type: "string" },
      data_dir: { type: "string" },
      version: { type: "integer", description: "PostgreSQL's major version" },
      psql: { type: "string", description: "The command that opens psql on it" },
    },
  },
  async run(ctx) {
    const { stateDir } = ctx.run;
    const { connection, dataDir, version, made, started } = await labUp(options(ctx));
    const password = connection.password?.();
    if (password !== undefined) ctx.secret(password);
    if (!made && !started) ctx.unchanged();
    const { host, port, user, database } = connection;
    const psql = psqlCommand(stateDir, port);
    return {
      running: true,
      made,
      started,
      host,
      port,
      user,
      database,
      data_dir: dataDir,
      version,
      psql,
    };
  },
  async plan(ctx) {
    const { exists, running } = await labStatus(options(ctx));
    return {
      would: running ? "nothing: it runs" : exists ? "start it" : "make, fill and start it",
    };
  },
  async undo(ctx, _input, output) {
    // Cut off before it was whole, it is nothing that anybody could use; else it was there before.
    if (output === undefined) {
      if (!(await discardUnfinished(options(ctx)))) ctx.unchanged();
      return;
    }
    if (!output.made && !output.started) return ctx.unchanged();
    await labDown({ ...options(ctx), remove: output.made });
  },
});

function options(ctx: StepContext) {
  return {
    stateDir: ctx.run.stateDir,
    run: ctx.run.id,
    onSecret: (value: string) => ctx.secret(value),
    signal: ctx.signal,
    log: (message: string) => ctx.log(message),
  };
}
