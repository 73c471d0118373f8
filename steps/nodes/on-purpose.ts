import { type Nodes, REMOVAL } from "../../providers/nodes/contract.ts";

/**
 * Tells a guard of the leader that nodes end on purpose, for as long as `act` lasts. What can't be told to others is done all the same: of a
 * cluster that is half made there may be nothing that could hold a lease.
 */
export async function onPurpose<T>(nodes: Nodes, run: string, act: () => Promise<T>): Promise<T> {
  const lease = await nodes.lease(`run ${run}`, REMOVAL).catch(() => undefined);
  try {
    return await act();
  } finally {
    if (lease !== undefined && "release" in lease) await lease.release().catch(() => {});
  }
}
