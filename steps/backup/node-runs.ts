import { PgdbaError } from "../../engine/errors.ts";
import type { Runs } from "../../providers/backup/logical/programs.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";

/** Runs programs on a node. @throws PgdbaError connection_failed also when nobody knows how one ended */
export function runsOn(nodes: Nodes, node: string, limits: { timeoutMs?: number } = {}): Runs {
  return async (argv, { outlives: _outlives, ...options } = {}) => {
    const result = await nodes.exec(node, argv, { ...options, ...limits });
    if (result.unknown === undefined) return result;
    throw new PgdbaError(
      "connection_failed",
      `Nobody knows how ${argv[0]} ended on ${node}: ${result.unknown}`,
      {
        hint: "Look at the node, then run again.",
        retryable: true,
      },
    );
  };
}
