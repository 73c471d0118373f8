import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { By, Role } from "../contract.ts";
import { statusOf } from "./engine.ts";
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
  const own = (place["images"] as JsonObject | undefined)?.[role];
  if (typeof own === "string") {
    await assertThere(engine.docker, own);
    return own;
  }
  throw new PgdbaError("unsupported", `no image for ${role} ${version} ${by.run}`, {});
}

/** The image of helpers: that of a server of this cluster, for it has all that they need. */
export async function helperImage(cluster: Cluster, place: JsonObject, by: By): Promise<string> {
  const records = await readRecords(cluster);
  const server = records.find(({ role }) => role === "postgres");
  if (server !== undefined) return server.image;
  return imageFor(cluster, "postgres", place, USUAL_VERSION, by);
}

async function assertThere(docker: Cluster["engine"]["docker"], image: string): Promise<void> {
  try {
    await docker.getImage(image).inspect();
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
    throw new PgdbaError("step_refused", `The Docker Engine has no image ${image}`, {
      hint: `Pull it (\`docker pull ${image}\`) or build it, or let pgdba build its own.`,
      nothingDone: true,
    });
  }
}
