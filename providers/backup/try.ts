/** Tries on a node, as the server's user, whether a segment could be archived: an object is made in the cluster's part, and removed. */
import type { Place } from "../repository/contract.ts";
import { type ClusterKey, probeName } from "../repository/layout.ts";
import { openRepository } from "../repository/open.ts";
import type { WorkIo } from "./jobs.ts";

interface TryOrder {
  place: Place;
  key: ClusterKey;
}

/** @throws PgdbaError repository_failed | repository_full | missing_secret */
export async function run(
  { place, key }: TryOrder,
  { signal }: Pick<WorkIo, "signal">,
): Promise<null> {
  const name = probeName(key, crypto.randomUUID());
  const repository = await openRepository(place);
  try {
    await repository.create(name, new TextEncoder().encode("pgdba"), { signal });
    await repository.remove([name], { signal });
  } finally {
    await repository.close();
  }
  return null;
}
