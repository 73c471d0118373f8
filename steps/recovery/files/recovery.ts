import type { StepContext } from "../../../engine/types.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { isThere, textOf, variable } from "../../node-files.ts";

/** How a node starts: as a standby, with a recovery that ends, or as it was left. */
export type Mode = "standby" | "recovery" | "none";

/** The files that decide how a node starts: postgresql.auto.conf and the signal file. Plain data, so that it can be noted. */
export type Recovery = {
  conf: string;
  mode: Mode;
};

const SIGNALS = { standby: "standby.signal", recovery: "recovery.signal" } as const;

export async function readRecovery(nodes: Nodes, node: string): Promise<Recovery> {
  const data = await variable(nodes, node, "PGDATA");
  const has = (signal: string) => isThere(nodes, node, `${data}/${signal}`);
  return {
    conf: await textOf(nodes, node, `${data}/postgresql.auto.conf`),
    mode: (await has(SIGNALS.standby))
      ? "standby"
      : (await has(SIGNALS.recovery))
        ? "recovery"
        : "none",
  };
}

/** The signal first: a node that starts in the middle of this starts as a standby, and never as a second primary. A server that runs reads it again. */
export async function writeRecovery(
  nodes: Nodes,
  node: string,
  { conf, mode }: Recovery,
): Promise<void> {
  const data = await variable(nodes, node, "PGDATA");
  if (mode !== "none") await nodes.put(node, `${data}/${SIGNALS[mode]}`, { content: "" });
  await nodes.put(node, `${data}/postgresql.auto.conf`, { content: conf });
  const others = Object.values(SIGNALS).filter((one) => mode === "none" || one !== SIGNALS[mode]);
  await nodes.exec(node, ["rm", "-f", "--", ...others.map((one) => `${data}/${one}`)]);
  await reload(nodes, node);
}

/** A server that runs reads its settings again; one that stands still does so when it is thawed. */
async function reload(nodes: Nodes, node: string): Promise<void> {
  const { running } = await nodes.state(node);
  if (running !== "stopped" && running !== "failed") await nodes.exec(node, ["pg_ctl", "reload"]);
}

/** Changes how a node starts to what `wantedOf` makes of it now. @returns how it was before the first attempt, which is noted for an undo */
export async function changeRecovery(
  ctx: StepContext,
  node: string,
  wantedOf: (now: Recovery) => Recovery,
): Promise<Recovery> {
  const nodes = await ctx.use("nodes");
  const now = await readRecovery(nodes, node);
  const before = (ctx.noted as Recovery | undefined) ?? now;
  if (ctx.noted === undefined) ctx.note({ ...before });
  const wanted = wantedOf(now);
  if (wanted.conf === now.conf && wanted.mode === now.mode) {
    ctx.unchanged();
    // It may have been written before by one who could not say so to the server.
    await reload(nodes, node);
  } else await writeRecovery(nodes, node, wanted);
  return before;
}

/** The inverse of `changeRecovery`. */
export async function putBackRecovery(ctx: StepContext, node: string): Promise<void> {
  const before = ctx.noted as Recovery | undefined;
  if (before === undefined) return ctx.unchanged();
  await writeRecovery(await ctx.use("nodes"), node, before);
}
