import type { Address } from "../nodes/contract.ts";
import { changeCluster } from "./write.ts";

/**
 * Writes down where a node of a cluster is reached now, and with it the way to the server where that led to this node. A node that the
 * entry does not name is one that is being made.
 * @throws PgdbaError invalid_config | io_failed | lock_held
 */
export async function recordAddress(
  stateDir: string,
  cluster: string,
  node: string,
  at: Address,
): Promise<void> {
  await changeCluster(stateDir, cluster, (before) => {
    const known = before?.data.nodes?.find(({ name }) => name === node);
    if (before === undefined || known === undefined) return before?.data;
    const was = known.reach ?? known.address;
    const isSame = (one: Place | undefined, other: Place): boolean =>
      one?.host === other.host && Number(one.port ?? 5432) === Number(other.port);
    if (was === undefined || isSame(was, at)) return before.data;
    const { postgres, nodes = [] } = before.data;
    const now = { host: at.host, port: at.port };
    return {
      ...before.data,
      ...(postgres && isSame(postgres, { ...was, port: was.port ?? 5432 })
        ? { postgres: { ...postgres, ...now } }
        : {}),
      nodes: nodes.map((one) =>
        one.name === node
          ? { ...one, address: now, ...(one.reach === undefined ? {} : { reach: now }) }
          : one,
      ),
    };
  });
}

interface Place {
  host: string;
  port?: number | string;
}
