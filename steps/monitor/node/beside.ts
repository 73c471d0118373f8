/** Where what watches a cluster lives: a node of the cluster itself, or, of one that pgdba did not make, a node beside it on this machine's Docker Engine. */
import type { StepContext } from "../../../engine/types.ts";
import type { By, Nodes, Opened, Opening } from "../../../providers/nodes/contract.ts";
import { openNodes } from "../../../providers/nodes/open.ts";
import { entryOf } from "./entry.ts";
import { PORT, type Ports } from "./places.ts";

/** Places whose nodes can be made beside a cluster that is elsewhere. */
const PLACE = "docker";
export const NODE = "monitor1";

export function openingOf(ctx: StepContext): Opening {
  return {
    cluster: ctx.target.cluster!,
    stateDir: ctx.run.stateDir,
    env: ctx.env,
    place: {},
    secret: () => Promise.reject(new RangeError("no secret is asked for here")),
  };
}

export function byOf(ctx: StepContext): By {
  return {
    run: ctx.run.id,
    path: ctx.step.path,
    signal: ctx.signal,
    progress: (progress) => ctx.progress(progress),
    log: (message) => ctx.log(message),
  };
}

/**
 * Works with the nodes beside the cluster; the way to them is closed afterwards.
 * @throws PgdbaError connection_failed: no Engine answers | capability_missing: the target is not registered
 */
export async function withBeside<T>(
  ctx: StepContext,
  act: (nodes: Nodes) => Promise<T>,
): Promise<T> {
  await entryOf(ctx);
  const opened: Opened = await openNodes(PLACE, openingOf(ctx));
  try {
    return await act(opened.nodes(byOf(ctx)));
  } finally {
    await opened.close();
  }
}

/** Works with the nodes of the cluster, or with those beside it. */
export async function withNodes<T>(
  ctx: StepContext,
  isBeside: boolean,
  act: (nodes: Nodes) => Promise<T>,
): Promise<T> {
  return isBeside ? withBeside(ctx, act) : act(await ctx.use("nodes"));
}

/** Where the programs of a node beside a cluster listen: on ports of this machine that it was given when it was made. */
export async function portsOf(nodes: Nodes, node: string): Promise<Ports> {
  const found = (await nodes.list()).find((one) => one.node === node);
  const given = (found?.place["ports"] ?? {}) as Record<string, number>;
  return Object.fromEntries(
    Object.entries(PORT).map(([name, port]) => [name, given[String(port)] ?? port]),
  ) as unknown as Ports;
}
