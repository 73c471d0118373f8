import type { StepContext } from "../../engine/types.ts";
import {
  labDiscard,
  labDown,
  labStatus,
  labUp,
  psqlCommand,
} from "../../providers/nodes/embedded/lab/lab.ts";
import { defineStep } from "../define.ts";

/** What this step has begun, in any attempt: the cluster id of the lab that it made; that it started one. */
interface Noted {
  made?: string;
  started?: true;
}

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
    const lab = await labUp({
      ...options(ctx),
      begins: (what) => ctx.note({ ...(ctx.noted as Noted | undefined), ...what }),
    });
    const { connection, dataDir, version, entry } = lab;
    const noted = (ctx.noted ?? {}) as Noted;
    const made = noted.made !== undefined && noted.made === entry.data.cluster_id;
    const started = made || noted.started === true;
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
  async undo(ctx) {
    const { made, started } = (ctx.noted ?? {}) as Noted;
    if (made !== undefined) {
      // It may be gone, or another one by now.
      if (!(await labDiscard(options(ctx), made))) ctx.unchanged();
    } else if (started === true) await labDown(options(ctx));
    else ctx.unchanged();
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
