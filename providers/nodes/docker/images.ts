import type { JsonObject } from "../../../engine/types.ts";
import type { By, Role } from "../contract.ts";
import { ask } from "./engine.ts";
import { ownImage } from "./images/build.ts";
import { assertGiven } from "./images/given.ts";
import { type Cluster, readRecords } from "./record.ts";

/** The version that images are built with for what has no version of its own. */
const USUAL_VERSION = 17;

/** The image of a role: the user's own, which must be there or can be pulled, or ours, which is built where it is not there. */
export async function imageFor(
  { engine }: Cluster,
  role: Role,
  place: JsonObject,
  version: number,
  by: By,
): Promise<string> {
  const given = (place["images"] as JsonObject | undefined)?.[role];
  return ask(engine, `have an image for ${role}`, async () => {
    if (typeof given !== "string") return ownImage(engine, role, version, by);
    await assertGiven(engine.docker, given, role, by);
    return given;
  });
}

/** The image of helpers: that of a server of this cluster, for it has all that they need. */
export async function helperImage(cluster: Cluster, place: JsonObject, by: By): Promise<string> {
  const records = await readRecords(cluster);
  const server = records.find(({ role }) => role === "postgres");
  if (server !== undefined) return server.image;
  return imageFor(cluster, "postgres", place, USUAL_VERSION, by);
}
