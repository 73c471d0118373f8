import { PgdbaError } from "../engine/errors.ts";
import { parseLsn } from "../engine/shared/units.ts";
import type { Nodes } from "../providers/nodes/contract.ts";
import { controlOf, isThere } from "./node-files.ts";

/** Its server holds its data, also one that stands still. */
const RUNS: ReadonlySet<string> = new Set(["running", "starting", "frozen"]);

/**
 * No other node of the cluster runs as a primary. `stopped`: nor was one that is stopped now and whose data has gone on at least as far,
 * for the primary may have moved there.
 * @returns the nodes that nobody could ask
 * @throws PgdbaError step_refused
 */
async function assertNoOtherPrimary(
  nodes: Nodes,
  node: string,
  { stopped }: { stopped: boolean },
): Promise<string[]> {
  const others = (await nodes.list()).filter(
    (one) => one.node !== node && one.made && one.roles.includes("postgres"),
  );
  const own = others.length === 0 ? 0 : (await controlOf(nodes, node)).timeline;
  const silent: string[] = [];
  for (const { node: other, state } of others) {
    try {
      const { folder, state: said, timeline } = await controlOf(nodes, other);
      const runs = RUNS.has(state.running);
      if (runs ? said !== "in production" : !stopped || timeline < own) continue;
      const isStandby = await isThere(nodes, other, `${folder}/standby.signal`);
      // A standby that was just made and starts has still the control file of the primary.
      if (runs && !(isStandby && state.running === "starting"))
        throw second(node, other, "runs as a primary");
      if (!runs && !isStandby)
        throw second(node, other, `was a primary, on timeline ${timeline}, when it was stopped`);
    } catch (error) {
      if (error instanceof PgdbaError && error.code === "step_refused") throw error;
      silent.push(other);
    }
  }
  return silent;
}

/**
 * Before a node starts: it is a standby, or no other one is the primary. Where Patroni runs the server, it is Patroni that sees to it: who
 * has the leader key is the primary, and a former one is made its standby.
 * @throws PgdbaError step_refused
 */
export async function assertMayStart(
  nodes: Nodes,
  node: string,
  warn: (message: string) => void,
): Promise<void> {
  const info = (await nodes.list()).find((one) => one.node === node);
  const isAlone = info?.roles.includes("postgres") && info.endpoints.patroni === undefined;
  if (!isAlone) return;
  const { folder } = await controlOf(nodes, node);
  if (await isThere(nodes, node, `${folder}/standby.signal`)) return;
  warnOf(await assertNoOtherPrimary(nodes, node, { stopped: true }), warn);
}

/**
 * Before a server that Patroni runs is started again as part of a way back: it would lead where nobody else does, and must not with data that
 * are behind those of another one, which is down.
 * @throws PgdbaError step_refused
 */
export async function assertNotBehind(nodes: Nodes, node: string): Promise<void> {
  const servers = (await nodes.list()).filter((one) => one.made && one.roles.includes("postgres"));
  const own = servers.find((one) => one.node === node);
  if (own?.endpoints.patroni === undefined) return;
  const others = servers.filter((one) => one !== own);
  if (others.some(({ state }) => RUNS.has(state.running))) return;
  const mine = await controlOf(nodes, node);
  for (const { node: other } of others) {
    const its = await controlOf(nodes, other).catch(() => null);
    if (its === null || !isAhead(its, mine)) continue;
    throw new PgdbaError(
      "step_refused",
      `${node} would lead without what ${other} has written last, which is down`,
      { hint: `Start ${other} first: \`pgdba cluster start\` does.`, nothingDone: true },
    );
  }
}

type Progress = Pick<Awaited<ReturnType<typeof controlOf>>, "timeline" | "checkpoint">;
const isAhead = (one: Progress, other: Progress): boolean =>
  one.timeline === other.timeline
    ? parseLsn(one.checkpoint) > parseLsn(other.checkpoint)
    : one.timeline > other.timeline;

/** Before a node is promoted. @throws PgdbaError step_refused */
export async function assertMayBePromoted(
  nodes: Nodes,
  node: string,
  warn: (message: string) => void,
): Promise<void> {
  warnOf(await assertNoOtherPrimary(nodes, node, { stopped: false }), warn);
}

function warnOf(silent: string[], warn: (message: string) => void): void {
  if (silent.length === 0) return;
  warn(`Nobody could ask ${silent.join(", ")}: make sure that no primary runs there.`);
}

function second(node: string, other: string, why: string): PgdbaError {
  return new PgdbaError("step_refused", `${node} would be a second primary: ${other} ${why}`, {
    hint: "Find out which of them has the data that counts. Make the other one its standby (recovery.follow, or rebuild it) before it starts.",
    nothingDone: true,
  });
}
