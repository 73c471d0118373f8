import { PgdbaError, toPgdbaError } from "../engine/errors.ts";
import type { StepContext } from "../engine/types.ts";
import type { Machine } from "../providers/machine.ts";
import type { Nodes } from "../providers/nodes/contract.ts";
import { type ControlState, readControlState } from "../providers/postgres/control-state.ts";

/** The value of the variable `name` for a program on the node. @throws PgdbaError step_failed when it is not set */
export async function variable(nodes: Nodes, node: string, name: string): Promise<string> {
  const { exit_code, stdout } = await nodes.exec(node, ["printenv", name]);
  if (exit_code === 0) return stdout.replace(/\n$/, "");
  throw new PgdbaError("step_failed", `${node} does not tell ${name}`, {
    hint: "The provider of the node must set it for the programs that it runs.",
  });
}

/** A file of the node as text. @throws PgdbaError io_failed */
export async function textOf(nodes: Nodes, node: string, path: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  await nodes.get(node, path, {
    sink: (bytes) => {
      text += decoder.decode(bytes, { stream: true });
    },
  });
  return text + decoder.decode();
}

export async function isThere(nodes: Nodes, node: string, path: string): Promise<boolean> {
  return (await nodes.exec(node, ["test", "-e", path])).exit_code === 0;
}

/** The facts of a node that has a server. @throws PgdbaError step_refused for another one */
export async function serverFacts(nodes: Nodes, node: string) {
  const { postgres, ...facts } = await nodes.facts(node);
  if (postgres !== null) return { ...facts, postgres };
  throw new PgdbaError("step_refused", `${node} runs no PostgreSQL`, {
    hint: "Name one of the cluster's servers.",
    nothingDone: true,
  });
}

/** What pg_control says of the data directory, by default the one of the node's server. @throws PgdbaError io_failed | unsupported */
export async function controlOf(
  nodes: Nodes,
  node: string,
  folder?: string,
): Promise<ControlState & { folder: string }> {
  if (folder === undefined) return ownControl(nodes, node);
  const parts: Uint8Array[] = [];
  const sink = (bytes: Uint8Array) => void parts.push(bytes.slice());
  await nodes.get(node, `${folder}/global/pg_control`, { sink }).catch((error: unknown) => {
    const { code, message } = toPgdbaError(error);
    if (code !== "io_failed") throw error;
    throw new PgdbaError(
      code,
      `${folder} on ${node} can't be read as a data directory: ${message}`,
      {
        cause: error,
        hint: "A data directory is the folder that holds global/pg_control. Where that of a standby is broken, `pgdba replica reinit NAME --yes` makes it anew from a copy.",
      },
    );
  });
  return known(node, folder, readControlState(Buffer.concat(parts)));
}

/** The place where a node's data lies is told by its provider, which knows it also of a node that is stopped. */
async function ownControl(nodes: Nodes, node: string) {
  const { postgres } = await serverFacts(nodes, node);
  if (postgres.control !== null) return { folder: postgres.data, ...postgres.control };
  return controlOf(nodes, node, postgres.data);
}

function known(node: string, folder: string, state: ControlState | null) {
  if (state !== null) return { folder, ...state };
  throw new PgdbaError("unsupported", `${folder} on ${node} is of a PostgreSQL that is not known`, {
    hint: "PostgreSQL 13 to 18 are known.",
  });
}

/**
 * What the server of the run may use, as the provider of its node tells it from inside; null where none reaches it. It comes before what
 * can be guessed from here: the process id of a server in a container is another program's on its host.
 */
export async function nodeMachine(ctx: StepContext): Promise<Machine | null> {
  const { capabilities, facts } = await ctx.target.facts();
  const { member, can } = facts as { member?: unknown; can?: { facts?: boolean } };
  if (!capabilities.includes("nodes") || typeof member !== "string" || can?.facts !== true)
    return null;
  try {
    const { cpus, memoryBytes } = await (await ctx.use("nodes")).facts(member);
    return { cpus, memoryKb: Math.floor(memoryBytes / 1024) };
  } catch (error) {
    if (ctx.signal.aborted) throw error;
    // The server itself may tell it.
    return null;
  }
}
