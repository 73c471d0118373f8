/** Makes a repository of a place that only nodes reach. */
import type { Place } from "../repository/contract.ts";
import { makeRepository } from "../repository/open.ts";

export async function run({ place }: { place: Place }): Promise<null> {
  await makeRepository(place);
  return null;
}
