/** Nodes that a run has made and that it must not take away again: somebody works with them by now. */
import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import type { NodeInfo, Nodes } from "../../providers/nodes/contract.ts";
import { clusterFile } from "../../providers/registry/folder.ts";
import { readClusterFile } from "../../providers/registry/read.ts";
import { recordedSince } from "../../providers/registry/record.ts";
import type { ClusterFile } from "../../providers/registry/schema.ts";
import { changeCluster } from "../../providers/registry/write.ts";
import { controlOf, isThere } from "../node-files.ts";

/** The names of the nodes that the cluster's entry has. */
export async function namedNodes(ctx: StepContext): Promise<string[]> {
  return ((await entryOf(ctx))?.nodes ?? []).map(({ name }) => name);
}

async function entryOf({ target, run }: StepContext): Promise<ClusterFile | undefined> {
  const { cluster } = target;
  if (cluster === null || cluster === undefined) return undefined;
  return (await readClusterFile(cluster, clusterFile(run.stateDir, cluster)))?.data;
}

/**
 * Those of `ours` that the entry names though it did not `before`: what this run has recorded itself is taken back by then, so that another
 * one has recorded them since.
 */
export async function takenOver(
  ctx: StepContext,
  ours: readonly NodeInfo[],
  before: readonly string[],
): Promise<string[]> {
  const entry = await entryOf(ctx);
  const named = new Set((entry?.nodes ?? []).map(({ name }) => name));
  const taken = ours
    .filter(({ node, made }) => made && named.has(node) && !before.includes(node))
    .map(({ node }) => node);
  if (taken.length === 0) return [];
  const by = recordedSince(entry!, "nodes", ctx.run.id);
  ctx.warn(
    `${taken.join(", ")} of ${ctx.target.name} ${taken.length === 1 ? "stays" : "stay"}: ${by === null ? "another run" : `run ${by}`} has recorded ${taken.length === 1 ? "it as a node" : "them as nodes"} of the cluster since`,
  );
  return taken;
}

/**
 * Beside other servers none of those that go may be the primary: it has what nobody else has.
 * @throws PgdbaError undo_failed
 */
export async function assertNoneLeads(
  nodes: Nodes,
  going: readonly NodeInfo[],
  staying: readonly NodeInfo[],
): Promise<void> {
  const servers = (all: readonly NodeInfo[]) =>
    all.filter(({ made, roles }) => made && roles.includes("postgres"));
  if (servers(staying).length === 0) return;
  for (const { node } of servers(going)) {
    if (!(await isPrimary(nodes, node))) continue;
    throw new PgdbaError("undo_failed", `${node} is a primary by now, and is not taken away`, {
      hint: "Hand its role to another member first: `pgdba failover trigger --yes`. Then give the run up again.",
    });
  }
}

/** By its data, also where its server is down. One without data, as before its copy, is none. */
async function isPrimary(nodes: Nodes, node: string): Promise<boolean> {
  try {
    const { folder } = await controlOf(nodes, node);
    return !(await isThere(nodes, node, `${folder}/standby.signal`));
  } catch {
    return false;
  }
}

/** An entry that names a node which is gone helps nobody. */
export async function forgetNodes(ctx: StepContext, gone: readonly string[]): Promise<void> {
  const { cluster } = ctx.target;
  const named = await namedNodes(ctx);
  if (cluster === null || !named.some((name) => gone.includes(name))) return;
  await changeCluster(ctx.run.stateDir, cluster, (before) => ({
    ...before!.data,
    nodes: (before!.data.nodes ?? []).filter(({ name }) => !gone.includes(name)),
  }));
}
