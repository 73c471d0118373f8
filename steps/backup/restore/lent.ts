/** A server on the scratch folder of a run that stays up while something is taken out of it by pg_dump. */
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { Lines } from "../../../engine/shared/lines.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { Lent, LendOrder, LentWord } from "../../../providers/backup/lend.ts";
import type { Programs } from "../../../providers/backup/logical/programs.ts";
import { errorOf } from "../../../providers/backup/work.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { scramVerifier } from "../../../providers/postgres/scram.ts";
import { variable } from "../../node-files.ts";
import { common } from "../../local-programs.ts";
import { type Client, programsOf } from "../client.ts";
import { restorableRecord } from "../records.ts";
import { folderOf, scratchOf } from "./scratch.ts";
import { MOST_BYTES, placeOf, tell } from "./work.ts";

export interface Taking {
  node: string;
  backup_id: string;
  database: string;
  table: LendOrder["table"];
  /** Of the server that it is brought into: its programs dump, too, where the node has none. */
  client: Client;
}

/** The server as pg_dump reaches it. */
export interface Source extends Lent {
  programs: Programs;
  env: Record<string, string>;
}

const ROLE = "pgdba_lend";
const IDLE_SECONDS = 300;
const GRACE_MS = 20_000;

/**
 * Hands `use` the server, and ends it afterwards however that went.
 * @throws PgdbaError invalid_param | step_refused (no such table there) | unsupported (no programs that reach it)
 */
export async function lend<T>(
  ctx: StepContext,
  { node, backup_id, database, table, client }: Taking,
  use: (source: Source) => Promise<T>,
): Promise<T> {
  const nodes = await ctx.use("nodes");
  await endLent(ctx, node);
  const place = await placeOf(nodes, node);
  const own = await programsOf(ctx, node);
  const found = await restorableRecord(ctx, backup_id);
  const password = randomBytes(18).toString("hex");
  ctx.secret(password);
  const byNetwork = own === null && client.where === "container";
  const order: LendOrder = {
    data: scratchOf(place.data, ctx.run.id),
    programs: place.programs,
    folder: folderOf(ctx.run.id),
    owner: null,
    user: await variable(nodes, node, "PGUSER"),
    version: (await ctx.use("repository")).key.version,
    recorded: found?.record.server.settings ?? {},
    database,
    table,
    network: byNetwork ? { user: ROLE, verifier: scramVerifier(password) } : null,
    idle_seconds: IDLE_SECONDS,
  };
  const name = `${ctx.step.job}/${createHash("sha256").update(password).digest("hex").slice(0, 8)}`;
  await nodes.jobs.start(node, name, [place.program, "work", "lend"], {
    stdin: `${JSON.stringify(order)}\n`,
  });
  try {
    const lent = await firstWord(ctx, nodes, node, name);
    if (own !== null) return await use({ ...lent, programs: own, env: bySocket(ctx, lent) });
    if (!existsSync(join(lent.folder, `.s.PGSQL.${lent.port}`)))
      throw new PgdbaError(
        "unsupported",
        `${node} has no pg_dump, and that of this machine does not reach the restored data there`,
        {
          hint: `Install the client programs of PostgreSQL ${order.version} on ${node}, or name another node with --node.`,
        },
      );
    const env = byNetwork
      ? await byLoopback(ctx, client, { ...lent, user: ROLE }, password)
      : bySocket(ctx, lent);
    return await use({ ...lent, programs: client.programs, env });
  } finally {
    await nodes.jobs
      .stop(node, name, { graceMs: GRACE_MS })
      .then(() => nodes.jobs.forget(node, name))
      // What is left of it is ended when the step is taken back, and by itself.
      .catch((error: unknown) => ctx.log(`The server on the scratch folder: ${String(error)}`));
  }
}

/** Ends what an earlier attempt of this step has left running. */
export async function endLent(ctx: StepContext, node: string): Promise<void> {
  const { jobs } = await ctx.use("nodes");
  for (const { name, labels } of await jobs.list(node, { run: ctx.run.id })) {
    if (labels.path !== ctx.step.path || !name.startsWith(`${ctx.run.id}/`)) continue;
    await jobs.stop(node, name, { graceMs: GRACE_MS });
    await jobs.forget(node, name);
  }
}

const bySocket = (ctx: StepContext, { folder, port, user }: Lent) => ({
  PGHOST: folder,
  PGPORT: String(port),
  PGUSER: user,
  PGPASSFILE: "/dev/null",
  ...common(ctx),
});

async function byLoopback(
  ctx: StepContext,
  client: Client,
  { port, user }: Lent,
  password: string,
) {
  const line = `127.0.0.1:${port}:*:${user}:${password}\n`;
  return {
    PGHOST: "127.0.0.1",
    PGPORT: String(port),
    PGUSER: user,
    PGSSLMODE: "disable",
    PGPASSFILE: await client.put!("scratchpass", line),
    ...common(ctx),
  };
}

/** What it says first; the rest of its life is looked at by nobody. */
async function firstWord(
  ctx: StepContext,
  nodes: Nodes,
  node: string,
  name: string,
): Promise<Lent> {
  const heard = new AbortController();
  let said = "";
  const decoder = new TextDecoder();
  const told = new Lines(MOST_BYTES);
  const ended = await nodes.jobs
    .follow(node, name, {
      signal: AbortSignal.any([ctx.signal, heard.signal]),
      onStdout: (bytes) => {
        said += decoder.decode(bytes, { stream: true });
        if (said.includes("\n")) heard.abort();
      },
      onStderr: (bytes) => {
        for (const line of told.take(bytes)) tell(ctx, line);
      },
    })
    .catch((error: unknown) => {
      if (!heard.signal.aborted || ctx.signal.aborted) throw error;
      return null;
    });
  const word = wordIn(said);
  if (word !== null && "lent" in word) return word.lent;
  if (word !== null && "error" in word) throw errorOf(word.error, "step_failed");
  throw new PgdbaError(
    "command_failed",
    `The server on the scratch folder of ${node} ended without a word (${ended?.unknown ?? ended?.signal ?? `exit code ${ended?.exit_code}`})`,
    {
      hint: "The pgdba beside the data may be older than this one: `pgdba backup setup` brings it up to date.",
    },
  );
}

function wordIn(said: string): LentWord | null {
  const line = said.split("\n")[0] ?? "";
  try {
    const word = JSON.parse(line) as LentWord;
    return "lent" in word || "error" in word ? word : null;
  } catch {
    return null;
  }
}
